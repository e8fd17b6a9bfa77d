// Updating an app: what there is, what will be done, how far it is, and what was rolled back.

import { html, nothing } from "../../vendor/lit-html/lit-html.js";
import { api, isAbort } from "../api.js";
import { icon } from "../parts.js";
import { store } from "../store.js";
import { formFoot, TaskDialog } from "./dialog.js";

export class UpdateDialog extends TaskDialog {
  found = null;

  constructor(app) {
    super("updateModal", `Update ${app.hostname}`);
    this.app = app;
    this.path = `/apps/${encodeURIComponent(app.id)}`;
    this.load();
  }

  async load() {
    try {
      this.found = await api.get(`${this.path}/updates`);
    } catch (error) {
      if (isAbort(error)) return;
      this.error = error;
    }
    this.update();
  }

  render() {
    const { found, error } = this;
    this.element.dataset.available = error && !found ? "error" : String(found?.available ?? "unknown");
    super.render();
  }

  form() {
    if (!this.found) return this.error ? nothing : html`<p role="status">Looking for updates…</p>`;
    const { current, newer, available } = this.found;
    if (!available) {
      return html`<div class="note good">${icon("check")}
        <p>${this.app.name} <strong>${current}</strong> is the newest version there is.</p></div>`;
    }
    return html`
      <div class="versions">
        <div><span class="muted">Installed</span><strong data-testid="installed-version">${current}</strong></div>
        <span class="arrow" aria-hidden="true">→</span>
        <div><span class="muted">Available</span><strong data-testid="newest-version">${newer.at(-1)}</strong></div>
      </div>
      <form id="updateForm" class="form" @submit=${(event) => this.submit(event)}>
        <label>Update to
          <select id="updateVersion" name="version" autofocus>
            ${newer.toReversed().map((version) => html`<option value=${version}>${version}</option>`)}
          </select>
        </label>
      </form>
      <ul class="plain-list">
        <li>${icon("backup")} A backup is made first, and kept.</li>
        <li>${icon("clone")} The new version starts in a container of its own and takes the data over.</li>
        <li>${icon("rollback")} If it is not healthy, the data goes back and ${current} runs again.</li>
      </ul>
    `;
  }

  submit(event) {
    event.preventDefault();
    this.wanted = new FormData(event.target).get("version");
    this.begin(() => api.post(`${this.path}/update`, { version: this.wanted }));
  }

  formFoot() {
    if (!this.found?.available) return nothing;
    return formFoot({ form: "updateForm", label: "Back up and update", action: "start-update" }, this);
  }

  success() {
    return html`<strong>${this.app.hostname}</strong> runs ${this.wanted ?? "the new version"} now, with its data.`;
  }

  undone(status) {
    const now = store.app(this.app.id);
    if (status === "failed") {
      return html`<p><strong>The update failed, and could not be undone completely.</strong>
        The app is ${now?.status}. Its backup is kept.</p>`;
    }
    return html`
      <p data-testid="rollback-report">
        <strong>The update was rolled back: ${this.app.hostname} is at ${this.app.version} again.</strong>
        The new container was removed, the data is back where it was, and the backup is kept.
      </p>`;
  }
}

export class RollbackDialog extends TaskDialog {
  constructor(app) {
    super("rollbackModal", `Go back to ${app.previous_version}`);
    this.app = app;
  }

  form() {
    const { app } = this;
    return html`
      <p><strong>${app.hostname}</strong> goes from ${app.version} back to ${app.previous_version}.
        Its data stays as it is now.</p>
      <form id="rollbackForm" @submit=${(event) => this.submit(event)}></form>`;
  }

  submit(event) {
    event.preventDefault();
    this.begin(() => api.post(`/apps/${encodeURIComponent(this.app.id)}/rollback`));
  }

  formFoot() {
    return formFoot({ form: "rollbackForm", label: "Go back", action: "start-rollback" }, this);
  }

  success() {
    return html`<strong>${this.app.hostname}</strong> runs ${this.app.previous_version} again.`;
  }
}
