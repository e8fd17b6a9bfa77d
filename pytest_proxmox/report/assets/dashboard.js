"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const PAGE = 50;
  const WORST = 15;
  const MARKS = { ".": ["good", "passed"], F: ["bad", "failed"], R: ["warn", "passed on retry"], s: ["skip", "other"] };
  const STATES = { flaky: "warn", broken: "bad", steady: "good", fixed: "good", suspect: "skip" };
  const OUTCOMES = { passed: "good", failed: "bad", error: "bad", crashed: "bad" };

  const percent = (x, digits = 1) => (100 * x).toFixed(digits) + " %";
  const seconds = (s) => (s >= 100 || (s >= 1 && Number.isInteger(s)) ? Math.round(s) + " s" : s >= 1 ? s.toFixed(1) + " s" : s === 0 ? "0" : (1000 * s).toFixed(s < 0.01 ? 1 : 0) + " ms");
  const make = (tag, text, className) => {
    const node = document.createElement(tag);
    if (text !== undefined && text !== null) node.textContent = text;
    if (className) node.className = className;
    return node;
  };
  const empty = (room, text) => room.replaceChildren(make("p", text, "empty"));

  // A long name breaks where its parts meet, not in the middle of a word.
  const broken = (text) => String(text).split(/(?<=\/|::|_|\[|,|-|: )/).flatMap((part) => [document.createElement("wbr"), part]).slice(1);
  const table = (heads, rows, caption, sorting) => {
    const out = make("table");
    out.setAttribute("aria-label", caption);
    const head = out.createTHead().insertRow();
    heads.forEach(([text, className, key], i) => {
      const cell = make("th", sorting && key ? null : text, className);
      cell.scope = "col";
      if (sorting && key) {
        const button = make("button", text + (sorting.by === i ? (sorting.down ? " ▾" : " ▴") : ""), "sort");
        button.type = "button";
        button.addEventListener("click", () => sorting.choose(i));
        cell.setAttribute("aria-sort", sorting.by !== i ? "none" : sorting.down ? "descending" : "ascending");
        cell.append(button);
      }
      head.append(cell);
    });
    const body = out.createTBody();
    for (const row of rows) {
      const line = body.insertRow();
      row.forEach((cell, i) => {
        const isName = /\bname\b/.test(heads[i][1]);
        const td = make("td", cell instanceof Node || isName ? null : cell, heads[i][1]);
        if (cell instanceof Node) td.append(cell);
        else if (isName) td.append(...broken(cell));
        line.append(td);
      });
    }
    return out;
  };
  const bar = (low, high, at, label, full) => {
    const track = make("div", null, full ? "track full" : "track");
    track.setAttribute("role", "img");
    track.setAttribute("aria-label", label);
    const span = make("i");
    span.style.left = 100 * low + "%";
    span.style.width = Math.max(0.8, 100 * (high - low)) + "%";
    track.append(span);
    if (at !== null) {
      const tick = make("em");
      tick.style.left = "calc(" + 100 * at + "% - 1px)";
      track.append(tick);
    }
    return track;
  };
  const marks = (letters) => {
    const out = make("span", null, "marks");
    out.setAttribute("role", "img");
    out.setAttribute("aria-label", [...letters].map((c) => MARKS[c][1]).join(", ") || "no runs");
    for (const letter of letters) out.append(make("span", letter === "." ? "●" : letter === "F" ? "✕" : letter === "R" ? "↻" : "–", MARKS[letter][0]));
    return out;
  };
  const word = (text, classes) => make("span", text, classes[text] || "skip");

  function showCards() {
    const last = data.runs[data.runs.length - 1];
    const states = {};
    for (const test of data.tests) states[test.state] = (states[test.state] || 0) + 1;
    const cards = [
      [percent(last.rate), "passed of " + last.judged, last.failed ? "bad" : "good"],
      [last.failed, "failed", last.failed ? "bad" : "good"],
      [states.flaky || 0, "flaky", states.flaky ? "warn" : "good", "flaky"],
      [states.broken || 0, "broken", states.broken ? "bad" : "good", "broken"],
      [states.fixed || 0, "fixed", "", "fixed"],
      [last.left, "left on Proxmox", last.left ? "bad" : "good"],
      [data.tests.length, "tests known", ""],
      [data.runs.length, "runs on record", ""],
    ];
    byId("cards").replaceChildren(...cards.map(([value, text, tone, state]) => {
      const card = make(state && value ? "button" : "div", null, "card");
      card.append(make("b", value, tone), make("span", text));
      if (state && value) {
        card.type = "button";
        card.title = "Show them in the table of all tests";
        card.addEventListener("click", () => showState(state));
      }
      return card;
    }));
    byId("project").textContent = data.project;
    byId("about").textContent = data.about;
  }

  const charts = [];
  function chart(room, label, series, format, range) {
    const style = getComputedStyle(document.documentElement);
    const color = (name) => style.getPropertyValue(name).trim();
    const axis = { stroke: color("--soft"), grid: { stroke: color("--line"), width: 1 }, ticks: { stroke: color("--line") } };
    const few = data.runs.length < 60;
    const options = {
      width: Math.max(260, room.clientWidth), height: 210,
      scales: { x: { time: false, range: data.runs.length === 1 ? [0, 2] : undefined }, y: { range: range } },
      axes: [
        { ...axis, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000], values: (_, values) => values.map((v) => "#" + v) },
        { ...axis, size: 62, values: (_, values) => values.map(format) },
      ],
      series: [
        { label: "run", value: (_, v) => (v === null ? "–" : "#" + v + " " + (data.runs[v - 1] || {}).started) },
        ...series.map(([name, tone]) => ({ label: name, stroke: color(tone), width: 2, points: { show: few, size: 5 }, value: (_, v) => (v === null || v === undefined ? "–" : format(v)) })),
      ],
    };
    room.replaceChildren();
    room.setAttribute("role", "img");
    room.setAttribute("aria-label", label);
    charts.push(new uPlot(options, [data.runs.map((_, i) => i + 1), ...series.map(([, , get]) => data.runs.map(get))], room));
  }
  function showCharts() {
    while (charts.length) charts.pop().destroy();
    const least = Math.min(1, ...data.runs.map((run) => run.rate));
    chart(byId("rate"), "Pass rate of each run", [["pass rate", "--good", (r) => r.rate]], (v) => percent(v, least > 0.98 ? 2 : least > 0.8 ? 1 : 0), [Math.max(0, least - Math.max(0.002, (1 - least) * 0.2)), 1 + Math.max(0.001, (1 - least) * 0.08)]);
    chart(byId("time"), "Duration of each run in seconds", [["duration", "--accent", (r) => r.duration]], seconds, (_, low, high) => [0, high * 1.1 || 1]);
    chart(byId("left"), "Guests left on Proxmox by each run", [["left", "--bad", (r) => r.left]], (v) => (Number.isInteger(v) ? String(v) : ""), (_, low, high) => [0, Math.max(4, high + 1)]);
  }

  function showFlaky() {
    const found = data.tests.filter((t) => t.state === "flaky").sort((a, b) => b.rate - a.rate);
    if (!found.length) return empty(byId("flaky"), "No test is flaky.");
    const more = found.length - WORST;
    byId("flaky").replaceChildren(table(
      [["Test", "name"], ["Last runs"], ["Failures", "num"], ["Rate", "num"], ["95 % interval", "bar"]],
      found.slice(0, WORST).map((t) => [t.id, marks(t.recent), t.failures + "/" + t.runs, percent(t.rate), bar(t.low, t.high, t.rate, percent(t.low) + " to " + percent(t.high))]),
      "Flaky tests, the worst first"));
    if (more <= 0) return;
    const button = make("button", "Show " + more + " more");
    button.type = "button";
    button.addEventListener("click", () => showState("flaky"));
    byId("flaky").append(button);
  }
  function showSlow() {
    const slow = [...data.tests].sort((a, b) => b.duration - a.duration).slice(0, 10).filter((t) => t.duration > 0);
    const longest = slow.length ? slow[0].duration : 1;
    if (slow.length) byId("slowest").replaceChildren(table([["Test", "name"], ["Median", "num"], ["Compared", "bar"]],
      slow.map((t) => [t.id, seconds(t.duration), bar(0, t.duration / longest, null, percent(t.duration / longest, 0) + " of the slowest")]), "Slowest tests"));
    else empty(byId("slowest"), "No test has passed yet.");
    const worse = data.tests.filter((t) => t.slope > 0).sort((a, b) => b.slope - a.slope).slice(0, 10);
    if (worse.length) byId("slowing").replaceChildren(table([["Test", "name"], ["Median", "num"], ["More each run", "num"]],
      worse.map((t) => [t.id, seconds(t.duration), "+" + seconds(t.slope)]), "Tests that get slower"));
    else empty(byId("slowing"), "No test gets slower beyond what chance explains.");
  }
  function showCoverage() {
    if (!data.coverage.length) return empty(byId("coverage"), "No coverage was given: pytest-proxmox report --coverage coverage.json");
    byId("coverage").replaceChildren(table([["Module", "name"], ["Lines", "num"], ["Covered", "num"], ["Share", "bar"]],
      data.coverage.map(([name, lines, share]) => [name, lines, percent(share), bar(0, share, null, percent(share), true)]), "Coverage by module"));
  }
  function showLeases() {
    if (!data.leases.length) return empty(byId("leases"), "No lease is held.");
    byId("leases").replaceChildren(table([["Lease", "name"], ["State"], ["Leftovers", "num"]], data.leases, "Leases that are held"));
  }
  function showClusters() {
    if (!data.clusters.length) return empty(byId("clusters"), "No tests fail together.");
    byId("clusters").replaceChildren(table([["Tests", "num"], ["Runs", "num"], ["Failure", "name cause"], ["Which", "name"]],
      data.clusters.map((c) => [c.count, c.runs, c.message, c.tests.join("\n") + (c.count > c.tests.length ? "\n… and " + (c.count - c.tests.length) + " more" : "")]), "Failure clusters"));
  }
  function showNavigation() {
    const views = data.navigation.views;
    byId("navigation-room").hidden = !views.length;
    if (!views.length) return;
    const cells = data.navigation.cells;
    const out = table([["From \\ to"], ...views.map((v) => [v])],
      views.map((from) => [from, ...views.map((to) => {
        const outcome = cells[from + "\n" + to];
        if (from === to && !outcome) return "–";
        return outcome ? word(outcome, OUTCOMES) : make("span", "not tried", "skip");
      })]), "Outcome of moving from one view to another");
    out.className = "matrix";
    byId("navigation").replaceChildren(out);
  }

  let page = 0;
  // The columns of the table of all tests, with what each is sorted by.
  const COLUMNS = [
    ["Test", "name", (t) => t.id], ["State", "", (t) => order[t.state]], ["Last", "", (t) => t.last], ["Last runs"],
    ["Failures", "num", (t) => t.failures], ["Retries", "num", (t) => t.reruns], ["Median", "num", (t) => t.duration],
    ["Last failure", "name", (t) => t.failure],
  ];
  const order = { broken: 0, flaky: 1, suspect: 2, fixed: 3, steady: 4 };
  const sorting = {
    by: -1, down: false,
    choose(column) {
      const isNumber = COLUMNS[column][1] === "num";
      if (sorting.by !== column) [sorting.by, sorting.down] = [column, isNumber];
      else sorting.down = !sorting.down;
      page = 0;
      showTests();
      byId("tests").querySelectorAll("th")[column].firstChild.focus();
    },
    sorted(tests) {
      if (sorting.by < 0) return tests;
      const key = COLUMNS[sorting.by][2];
      const sign = sorting.down ? -1 : 1;
      return [...tests].sort((a, b) => (key(a) < key(b) ? -sign : key(a) > key(b) ? sign : 0));
    },
  };
  // What is wider than its section is reached by keyboard too.
  function letScroll() {
    for (const section of document.querySelectorAll("section")) {
      if (section.scrollWidth > section.clientWidth) section.tabIndex = 0;
      else section.removeAttribute("tabindex");
    }
  }
  function showState(state) {
    for (const field of fields) byId(field).value = "";
    byId("state").value = state;
    page = 0;
    showTests();
    byId("filters").parentElement.scrollIntoView({ block: "start" });
    byId("state").focus({ preventScroll: true });
  }
  const fields = ["find", "state", "last", "module", "marker"];
  function options(id, values) {
    byId(id).append(...[...new Set(values)].filter(Boolean).sort().map((v) => new Option(v, v)));
  }
  function matching() {
    const want = Object.fromEntries(fields.map((f) => [f, byId(f).value]));
    const needle = want.find.toLowerCase();
    return data.tests.filter((t) =>
      (!needle || t.id.toLowerCase().includes(needle)) && (!want.state || t.state === want.state) &&
      (!want.last || t.last === want.last) && (!want.module || t.module === want.module) &&
      (!want.marker || t.markers.includes(want.marker)));
  }
  function showTests() {
    const found = sorting.sorted(matching());
    const pages = Math.max(1, Math.ceil(found.length / PAGE));
    page = Math.min(page, pages - 1);
    byId("count").textContent = found.length + " of " + data.tests.length + " tests";
    byId("tests").replaceChildren(table(
      COLUMNS,
      found.slice(page * PAGE, (page + 1) * PAGE).map((t) => [t.id, word(t.state, STATES), word(t.last, OUTCOMES), marks(t.recent), t.failures + "/" + t.runs, t.reruns, seconds(t.duration), t.failure]),
      "All tests", sorting));
    const step = (text, by, off) => {
      const button = make("button", text);
      button.type = "button";
      button.disabled = off;
      button.addEventListener("click", () => { page += by; showTests(); });
      return button;
    };
    byId("pages").replaceChildren(step("Back", -1, page === 0), make("span", "page " + (page + 1) + " of " + pages), step("Next", 1, page >= pages - 1));
    byId("pages").hidden = pages === 1;
    letScroll();
  }

  data.tests.sort((a, b) => order[a.state] - order[b.state] || b.rate - a.rate || (a.id < b.id ? -1 : 1));
  for (const test of data.tests) test.module = test.id.split("::")[0];
  options("state", data.tests.map((t) => t.state));
  options("last", data.tests.map((t) => t.last));
  options("module", data.tests.map((t) => t.module));
  options("marker", data.tests.flatMap((t) => t.markers));
  for (const field of fields) byId(field).addEventListener("input", () => { page = 0; showTests(); });
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  byId("theme").addEventListener("click", () => {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    showCharts();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", showCharts);
  let resizing;
  addEventListener("resize", () => { clearTimeout(resizing); resizing = setTimeout(() => { showCharts(); letScroll(); }, 150); });
  showCards(); showCharts(); showFlaky(); showSlow(); showCoverage(); showLeases(); showClusters(); showNavigation(); showTests();
})();
