// How much nodes and apps use, now and over time, as Proxmox measured it.

import { html } from "../../vendor/lit-html/lit-html.js";
import { api } from "../api.js";
import { bytes, percent } from "../format.js";
import { chart, empty, heading, icon } from "../parts.js";
import { go } from "../router.js";
import { store } from "../store.js";
import { View } from "./view.js";

const TIMEFRAMES = ["hour", "day", "week", "month", "year"];
const perSecond = (value) => `${bytes(value)}/s`;

export class MonitoringView extends View {
  nodes = [];
  history = null;

  constructor() {
    super("monitoring");
  }

  async load(signal) {
    const [nodes] = await Promise.all([
      api.get("/system/nodes", { signal }),
      store.loadApps({ signal }),
    ]);
    this.nodes = nodes;
    this.subject = this.#subject();
    this.history = this.subject
      ? await api.get(`${this.subject.path}/history?timeframe=${this.timeframe}`, { signal })
      : { points: [] };
    signal.throwIfAborted();
  }

  get timeframe() {
    const wanted = this.params.get("timeframe");
    return TIMEFRAMES.includes(wanted) ? wanted : "hour";
  }

  // An app or a node; without a word the first node that answers.
  #subject() {
    const app = store.app(this.params.get("app"));
    if (app) return { key: `app:${app.id}`, name: app.hostname, path: `/apps/${encodeURIComponent(app.id)}` };
    const wanted = this.params.get("node");
    const node = this.nodes.find((one) => one.node === wanted) ?? this.nodes.find((one) => one.status === "online");
    return node && { key: `node:${node.node}`, name: node.node, path: `/system/nodes/${node.node}` };
  }

  #look(key, timeframe) {
    const [kind, ...rest] = key.split(":");
    go("monitoring", { [kind]: rest.join(":"), timeframe });
  }

  template() {
    return html`
      ${heading("Monitoring", "What Proxmox measured.",
        html`<button class="button" type="button" data-action="refresh-monitoring"
          @click=${() => this.reload()}>${icon("restart")} Refresh</button>`)}
      ${this.subject ? html`${this.bar()}${this.charts()}` : empty("chart", "Nothing to measure", "No node is online.")}
    `;
  }

  bar() {
    const option = (key, name) => html`<option value=${key} ?selected=${key === this.subject.key}>${name}</option>`;
    return html`
      <div class="bar">
        <label class="inline">Node or app
          <select id="monitoringSubject" @change=${({ target }) => this.#look(target.value, this.timeframe)}>
            <optgroup label="Nodes">${this.nodes.map(({ node }) => option(`node:${node}`, node))}</optgroup>
            <optgroup label="Apps">${store.apps.filter(({ vmid }) => vmid).map((app) => option(`app:${app.id}`, app.hostname))}</optgroup>
          </select></label>
        <div class="chips" role="group" aria-label="Time">
          ${TIMEFRAMES.map((name) => html`
            <button class="chip" type="button" data-timeframe=${name} aria-pressed=${name === this.timeframe}
              @click=${() => this.#look(this.subject.key, name)}>${name}</button>`)}
        </div>
      </div>`;
  }

  charts() {
    const { points } = this.history;
    const series = (pick) => points.map((point) => ({ time: point.time, value: pick(point) }));
    const share = (used, total) => series((point) => (100 * point[used]) / point[total]);
    const ofNode = this.subject.key.startsWith("node:");
    return html`
      <div class="grid charts" data-testid="charts" data-subject=${this.subject.key}>
        ${chart({ label: "Processor", points: series(({ cpu }) => cpu * 100), format: percent })}
        ${chart({ label: "Memory", max: 100, format: percent, points: ofNode ? share("memused", "memtotal") : share("mem", "maxmem") })}
        ${chart({ label: "Disk", max: 100, format: percent, points: ofNode ? share("rootused", "roottotal") : share("disk", "maxdisk") })}
        ${chart({ label: "Network in", format: perSecond, points: series(({ netin }) => netin) })}
        ${chart({ label: "Network out", format: perSecond, points: series(({ netout }) => netout) })}
        ${ofNode
          ? chart({ label: "Load", format: (value) => value.toFixed(2), points: series(({ loadavg }) => Number(loadavg)) })
          : chart({ label: "Disk written", format: perSecond, points: series(({ diskwrite }) => diskwrite) })}
      </div>`;
  }
}
