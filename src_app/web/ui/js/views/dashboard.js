// The dashboard: what needs a look, what is going on, how full the cluster is.

import { html, nothing } from "../../vendor/lit-html/lit-html.js";
import { repeat } from "../../vendor/lit-html/directives/repeat.js";
import { api } from "../api.js";
import { hasUpdate } from "../appcard.js";
import { OperationDialog } from "../dialogs/dialog.js";
import { UpdateDialog } from "../dialogs/update.js";
import { bytes, doing, moment, percent, plural, time } from "../format.js";
import { isFinal, operations } from "../operations.js";
import { appIcon, empty, heading, icon, meter } from "../parts.js";
import { go } from "../router.js";
import { session } from "../session.js";
import { store } from "../store.js";
import { View } from "./view.js";

const LATEST = 8;
const SHORTCUTS = 12;
const BAD = new Set(["error", "update_failed"]);

export class DashboardView extends View {
  nodes = [];
  recent = [];
  health = null;

  constructor() {
    super("dashboard");
    store.addEventListener("change", () => this.update());
    operations.addEventListener("change", ({ detail }) => this.#note(detail));
  }

  async load(signal) {
    const [, nodes, recent, health] = await Promise.all([
      store.loadApps({ signal }),
      api.get("/system/nodes", { signal }).catch(() => null),
      api.get(`/operations?per_page=${LATEST}`, { signal }),
      api.get("/health", { signal, anonymous: true }).catch(() => null),
    ]);
    signal.throwIfAborted();
    Object.assign(this, { nodes, recent: recent.operations, health });
  }

  #note(operation) {
    const others = this.recent.filter(({ id }) => id !== operation.id);
    const known = others.length < this.recent.length;
    this.recent = known
      ? this.recent.map((old) => (old.id === operation.id ? operation : old))
      : [operation, ...others].slice(0, LATEST);
    this.update();
  }

  template() {
    const name = session.user ? `, ${session.user.username}` : "";
    const actions = html`<button class="button primary" type="button" data-action="go-catalog"
      @click=${() => go("catalog")}>${icon("plus")} Deploy an app</button>`;
    return html`
      ${heading(`Hello${name}`, this.summary(), actions)}
      ${this.alerts()}
      <div class="tiles">
        ${this.tile("Running", this.count((app) => app.status === "running"), "running")}
        ${this.tile("Stopped", this.count((app) => app.status === "stopped"), "stopped")}
        ${this.tile("Updates", this.count(hasUpdate), "updates")}
        ${this.tile("Need a look", this.count((app) => BAD.has(app.status)), "bad")}
      </div>
      ${this.shortcuts()}
      <div class="columns">
        <section class="card" aria-labelledby="recentTitle">
          <h2 id="recentTitle">Lately</h2>
          ${this.recent.length ? this.list() : empty("dashboard", "Nothing happened yet", "What you and others do shows up here.")}
        </section>
        <div class="stack">${this.updates()}${this.cluster()}</div>
      </div>`;
  }

  count(wanted) {
    return store.apps.filter(wanted).length;
  }

  summary() {
    const active = this.recent.filter((operation) => !isFinal(operation)).length;
    return active
      ? `${plural(store.apps.length, "app")}, ${plural(active, "operation")} going on.`
      : `${plural(store.apps.length, "app")}, and nothing going on.`;
  }

  tile(label, value, kind) {
    return html`<div class="card tile ${value ? `tile-${kind}` : ""}" data-testid="tile-${kind}">
      <span class="tile-value">${value}</span><span class="muted">${label}</span></div>`;
  }

  shortcuts() {
    const running = store.apps.filter(({ status }) => status === "running").slice(0, SHORTCUTS);
    if (!running.length) return nothing;
    return html`<nav class="shortcuts" aria-label="Running apps" data-testid="shortcuts">
      ${running.map((app) => html`<a class="shortcut" href="/apps?canvas=${encodeURIComponent(app.id)}">
        ${appIcon(app.name, "small")}<span>${app.hostname}</span></a>`)}</nav>`;
  }

  alerts() {
    const parts = Object.entries(this.health ?? {}).filter(([, part]) => part.ok === false);
    return parts.map(([name, part]) => html`
      <div class="note bad" role="alert" data-testid="health-alert">${icon("warn")}
        <p><strong>${name}</strong>: ${part.detail || "does not work"}</p></div>`);
  }

  list() {
    return html`<ul class="activity" data-testid="activity">
      ${repeat(this.recent, ({ id }) => id, (operation) => html`
        <li><button type="button" class="activity-item" data-operation=${operation.id}
          @click=${() => new OperationDialog(operation, `${doing(operation)} ${nameOf(operation)}`).show()}>
          <span class="dot status-${operation.status}"></span>
          <span class="activity-what">${doing(operation)} <strong>${nameOf(operation)}</strong></span>
          <span class="muted">${isFinal(operation) ? operation.status.replace("_", " ") : `${operation.percent} %`}</span>
          <time class="muted" datetime=${operation.created_at} title=${time(operation.created_at)}>${moment(operation.created_at)}</time>
        </button></li>`)}
    </ul>`;
  }

  updates() {
    const found = store.apps.filter(hasUpdate);
    if (!found.length) return nothing;
    return html`
      <section class="card" aria-labelledby="updatesTitle">
        <h2 id="updatesTitle">Updates</h2>
        <ul class="plain-list">${found.slice(0, 5).map((app) => html`
          <li class="spread"><span><strong>${app.hostname}</strong>
            <span class="muted">${app.version} → ${app.latest_version}</span></span>
            <button class="button small" type="button" aria-label="Update ${app.hostname}"
              ?disabled=${Boolean(app.operation_id)} @click=${() => new UpdateDialog(app).show()}>Update</button></li>`)}
        </ul>
      </section>`;
  }

  cluster() {
    return html`
      <section class="card" aria-labelledby="clusterTitle">
        <h2 id="clusterTitle">Cluster</h2>
        ${this.nodes === null
          ? html`<p class="muted">Proxmox does not answer.</p>`
          : this.nodes.map((node) => html`
              <div class="cluster-node"><p class="spread"><strong>${node.node}</strong>
                <span class="status-badge status-${node.status}">${node.status}</span></p>
                ${node.status === "online"
                  ? html`${meter("CPU", node.cpu_percent, percent(node.cpu_percent))}
                      ${meter("RAM", (100 * node.memory_bytes) / node.memory_total_bytes,
                        `${bytes(node.memory_bytes)} of ${bytes(node.memory_total_bytes)}`)}`
                  : nothing}</div>`)}
      </section>`;
  }
}

const nameOf = (operation) =>
  store.app(operation.app_id)?.hostname ?? operation.app_id ?? operation.subject.replace(/^\w+:/, "");
