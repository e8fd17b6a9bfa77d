// Copying an app, and changing what it may use.

import { html } from "../../vendor/lit-html/lit-html.js";
import { api } from "../api.js";
import { fieldError } from "../parts.js";
import { formFoot, TaskDialog } from "./dialog.js";

export class CloneDialog extends TaskDialog {
  constructor(app) {
    super("cloneModal", `Clone ${app.hostname}`);
    this.app = app;
  }

  form() {
    return html`
      <p>A second ${this.app.name} with the same data and settings.
        ${this.app.hostname} goes on running meanwhile.</p>
      <form id="cloneForm" class="form" @submit=${(event) => this.submit(event)}>
        <label>Hostname of the copy
          <input id="cloneHostname" name="hostname" required maxlength="63" autocomplete="off"
            autofocus spellcheck="false" value="${this.app.hostname}-copy" />
          ${fieldError(this.error, "hostname")} ${fieldError(this.error, "new_hostname")}
        </label>
      </form>
    `;
  }

  submit(event) {
    event.preventDefault();
    const name = new FormData(event.target).get("hostname").trim();
    this.begin(() =>
      api.post(`/apps/${encodeURIComponent(this.app.id)}/clone`, { new_hostname: name }),
    );
  }

  formFoot() {
    return formFoot({ form: "cloneForm", label: "Clone", action: "start-clone" }, this);
  }

  success() {
    return html`<strong>${this.accepted.app.hostname}</strong> is there.`;
  }
}

const FIELDS = [
  ["editCpu", "cpu_cores", "Cores", "cores", 1, 16],
  ["editMemory", "memory_mb", "Memory (MiB)", "memory_mib", 128, 32768],
  ["editDisk", "disk_gb", "Disk (GiB)", "disk_gib", 1, 500],
];

export class ConfigDialog extends TaskDialog {
  constructor(app) {
    super("editConfigModal", `Resources of ${app.hostname}`);
    this.app = app;
  }

  form() {
    return html`
      <p class="muted">The app restarts if it runs. A disk only grows.</p>
      <form id="editConfigForm" class="form" @submit=${(event) => this.submit(event)}>
        <div class="row">
          ${FIELDS.map(([id, name, label, now, least, most]) => html`
            <label>${label}
              <input id=${id} name=${name} type="number" required max=${most}
                min=${name === "disk_gb" ? this.app[now] : least} value=${this.app[now]} />
              ${fieldError(this.error, name)} ${fieldError(this.error, now)}
            </label>`)}
        </div>
      </form>
    `;
  }

  submit(event) {
    event.preventDefault();
    const told = new FormData(event.target);
    const changes = {};
    for (const [, name, , now] of FIELDS) {
      const value = Number(told.get(name));
      if (value !== this.app[now]) changes[name] = value;
    }
    this.begin(() => api.put(`/apps/${encodeURIComponent(this.app.id)}/config`, changes));
  }

  formFoot() {
    return formFoot({ form: "editConfigForm", label: "Save", action: "save-config" }, this);
  }

  success() {
    return html`<strong>${this.app.hostname}</strong> has its new resources.`;
  }
}
