// The nodes of the cluster.

import { html, nothing } from "../../vendor/lit-html/lit-html.js";
import { api } from "../api.js";
import { bytes, duration, percent, plural } from "../format.js";
import { empty, heading, icon, meter } from "../parts.js";
import { go } from "../router.js";
import { store } from "../store.js";
import { View } from "./view.js";

export class NodesView extends View {
  nodes = [];

  constructor() {
    super("nodes");
    store.addEventListener("change", () => this.update());
  }

  async load(signal) {
    const [nodes] = await Promise.all([
      api.get("/system/nodes", { signal }),
      store.loadApps({ signal }),
    ]);
    signal.throwIfAborted();
    this.nodes = nodes;
  }

  template() {
    const online = this.nodes.filter(({ status }) => status === "online").length;
    return html`
      ${heading("Nodes", `${online} of ${plural(this.nodes.length, "node")} online.`,
        html`<button class="button" type="button" data-action="refresh-nodes"
          @click=${() => this.reload()}>${icon("restart")} Refresh</button>`)}
      ${this.nodes.length ? html`<div class="grid">${this.nodes.map((node) => this.card(node))}</div>` : empty("node", "No nodes", "Proxmox names none.")}
    `;
  }

  card(node) {
    const here = store.apps.filter((app) => app.node === node.node).length;
    const online = node.status === "online";
    return html`
      <article class="card node-card" data-node=${node.node} data-testid="node-card">
        <header class="app-head">
          <span class="app-icon plain" aria-hidden="true">${icon("node")}</span>
          <div class="app-title"><h2>${node.node}</h2>
            <p class="muted">${online ? `up ${duration(node.uptime_s)}` : "not reachable"}</p></div>
          <span class="status-badge status-${node.status}" data-testid="node-status">${node.status}</span>
        </header>
        ${online
          ? html`${meter("CPU", node.cpu_percent, `${percent(node.cpu_percent)} of ${plural(node.cpu_count, "core")}`)}
              ${meter("RAM", (100 * node.memory_bytes) / node.memory_total_bytes,
                `${bytes(node.memory_bytes)} of ${bytes(node.memory_total_bytes)}`)}`
          : nothing}
        <p class="app-facts muted">${plural(node.containers, "container")}, ${here} of them your apps</p>
        <footer class="app-actions">
          <button class="button small" type="button" data-action="node-history"
            @click=${() => go("monitoring", { node: node.node })}>${icon("chart")} History</button>
        </footer>
      </article>`;
  }
}
