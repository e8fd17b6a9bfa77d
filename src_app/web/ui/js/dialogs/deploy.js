// Deploying an app from the catalog: a few questions, then its steps.

import { html, nothing } from "../../vendor/lit-html/lit-html.js";
import { api } from "../api.js";
import { appIcon, fieldError, icon } from "../parts.js";
import { go } from "../router.js";
import { store } from "../store.js";
import { attempt, formFoot, TaskDialog } from "./dialog.js";

export class DeployDialog extends TaskDialog {
  nodes = [];

  constructor(entry) {
    super("deployModal", `Deploy ${entry.name}`);
    this.entry = entry;
    attempt(async () => {
      this.nodes = (await api.get("/system/nodes")).filter(({ status }) => status === "online");
      this.update();
    });
  }

  suggestion() {
    const taken = new Set(store.apps.map(({ hostname }) => hostname));
    let number = 1;
    let name = this.entry.id;
    while (taken.has(name)) name = `${this.entry.id}-${++number}`;
    return name;
  }

  form() {
    const { entry } = this;
    return html`
      <div class="entry-line">
        ${appIcon(entry.name)}
        <p class="muted">${entry.description}</p>
      </div>
      <form id="deployForm" class="form" @submit=${(event) => this.submit(event)}>
        <label>Hostname
          <input id="hostname" name="hostname" required maxlength="63" autocomplete="off"
            spellcheck="false" autofocus aria-describedby="hostnameHelp" value=${this.suggestion()} />
          <span class="help" id="hostnameHelp">Letters, digits and hyphens; the app is found by it.</span>
          ${fieldError(this.error, "hostname")}
        </label>
        <div class="row">
          <label>Version
            <select id="version" name="version">
              ${entry.versions.toReversed().map(({ version }, index) => html`
                <option value=${version}>${version}${index === 0 ? " (newest)" : ""}</option>`)}
            </select>
          </label>
          <label>Node
            <select id="targetNode" name="node">
              <option value="">Choose for me</option>
              ${this.nodes.map(({ node }) => html`<option value=${node}>${node}</option>`)}
            </select>
          </label>
        </div>
        ${this.resources()} ${this.variables()}
      </form>
    `;
  }

  resources() {
    const { entry } = this;
    const number = (id, name, label, least, most) => html`
      <label>${label}
        <input id=${id} name=${name} type="number" min=${least} max=${most} value=${least} required />
        ${fieldError(this.error, name)}
      </label>`;
    return html`
      <details class="more">
        <summary>Resources</summary>
        <div class="row">
          ${number("deployCpu", "cores", "Cores", entry.min_cores, 16)}
          ${number("deployMemory", "memory_mib", "Memory (MiB)", entry.min_memory_mib, 32768)}
          ${number("deployDisk", "disk_gib", "Disk (GiB)", entry.min_disk_gib, 500)}
        </div>
      </details>`;
  }

  variables() {
    const names = Object.entries(this.entry.environment);
    if (!names.length) return nothing;
    return html`
      <details class="more">
        <summary>Environment</summary>
        ${names.map(([name, value]) => html`
          <label><code>${name}</code>
            <input name="env.${name}" value=${value} autocomplete="off" spellcheck="false" />
          </label>`)}
      </details>`;
  }

  submit(event) {
    event.preventDefault();
    const told = Object.fromEntries(new FormData(event.target));
    const environment = {};
    for (const [name, value] of Object.entries(told)) {
      if (name.startsWith("env.")) environment[name.slice(4)] = value;
    }
    this.hostname = told.hostname.trim();
    this.begin(() =>
      api.post("/apps/deploy", {
        catalog_id: this.entry.id,
        hostname: this.hostname,
        version: told.version,
        node: told.node || null,
        cores: Number(told.cores),
        memory_mib: Number(told.memory_mib),
        disk_gib: Number(told.disk_gib),
        environment,
      }),
    );
  }

  formFoot() {
    return formFoot({ form: "deployForm", label: "Deploy Application", action: "deploy" }, this);
  }

  success() {
    return html`<strong>${this.accepted.app.hostname}</strong> is running.`;
  }

  undone(status) {
    if (status === "failed") return super.undone(status);
    return html`<p><strong>Not deployed.</strong> What had been made was removed again.</p>`;
  }

  endActions() {
    if (this.state !== "succeeded") return nothing;
    return html`
      <button class="button" type="button" data-action="show-deployed" @click=${() => this.open()}>
        ${icon("open")} Open it
      </button>`;
  }

  open() {
    this.close();
    go("apps", { canvas: this.accepted.app.id });
  }
}
