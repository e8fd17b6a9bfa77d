// The backups of one app, and restoring one.

import { html, nothing } from "../../vendor/lit-html/lit-html.js";
import { repeat } from "../../vendor/lit-html/directives/repeat.js";
import { api, isAbort } from "../api.js";
import { bytes, time } from "../format.js";
import { operations } from "../operations.js";
import { empty, fieldError, icon, progressText } from "../parts.js";
import { store } from "../store.js";
import { attempt, confirm, Dialog, formFoot, TaskDialog } from "./dialog.js";

export const backupItem = (backup, { changed, named = false }) => html`
  <li class="backup-item" data-backup-id=${backup.id} data-status=${backup.status}
    data-hostname=${backup.app_hostname} data-testid="backup-item">
    <div class="backup-what">
      ${named
        ? html`<strong class="backup-host">${backup.app_hostname}</strong>
            <span class="muted">${backup.app_name} ${backup.app_version}</span>`
        : html`<strong>${time(backup.created_at)}</strong>
            <span class="muted">version ${backup.app_version}</span>`}
      ${backup.protected ? html`<span class="tag">${icon("lock")} protected</span>` : nothing}
      ${backup.app_id ? nothing : html`<span class="tag">app deleted</span>`}
    </div>
    <div class="backup-facts muted">
      ${named ? html`<span>${time(backup.created_at)}</span>` : nothing}
      <span>${backup.size_bytes ? bytes(backup.size_bytes) : "–"}</span>
      <span>${backup.storage}</span><span>${ORIGINS[backup.origin] ?? backup.origin}</span>
      ${backup.error ? html`<span class="field-error">${backup.error}</span>` : nothing}
    </div>
    <span class="backup-status status-badge status-${backup.status}">${backup.status}</span>
    <div class="backup-actions">
      <button class="button small" type="button" data-action="restore"
        ?disabled=${backup.status !== "available"}
        @click=${() => new RestoreDialog(backup).show().closed.then(changed)}>Restore</button>
      <button class="icon-button" type="button" data-action="protect"
        aria-pressed=${backup.protected} ?disabled=${backup.status !== "available"}
        aria-label="Protect from deletion" title="Protect from deletion"
        @click=${() => protect(backup).then(changed)}>${icon("lock")}</button>
      <button class="icon-button" type="button" data-action="delete" aria-label="Delete this backup"
        title="Delete this backup" ?disabled=${backup.protected || BUSY.has(backup.status)}
        @click=${() => remove(backup).then(changed)}>${icon("delete")}</button>
    </div>
  </li>
`;

const BUSY = new Set(["creating", "restoring", "deleting"]);
const ORIGINS = { manual: "by hand", update: "before an update", schedule: "by schedule" };

const protect = (backup) =>
  attempt(() => api.patch(`/backups/${backup.id}`, { protected: !backup.protected }));

async function remove(backup) {
  const sure = await confirm({
    title: "Delete this backup?",
    text: `The backup of ${backup.app_hostname} from ${time(backup.created_at)} cannot be brought back.`,
    yes: "Delete",
    danger: true,
  });
  if (sure) await attempt(() => api.delete(`/backups/${backup.id}`), "The backup was deleted.");
}

export class BackupsDialog extends Dialog {
  backups = null;
  working = null;
  #abort = new AbortController();

  constructor(app) {
    super("backupModal", `Backups of ${app.hostname}`);
    this.app = app;
    this.onChange = ({ detail }) => {
      if (detail.id !== this.working?.id) return;
      this.working = detail;
      this.update();
    };
    operations.addEventListener("change", this.onChange);
    this.load();
  }

  gone() {
    this.#abort.abort();
    operations.removeEventListener("change", this.onChange);
  }

  async load() {
    const { signal } = this.#abort;
    try {
      const path = `/apps/${encodeURIComponent(this.app.id)}/backups`;
      this.backups = (await api.get(path, { signal })).backups;
      this.error = null;
    } catch (error) {
      if (isAbort(error)) return;
      this.error = error;
    }
    this.update();
  }

  render() {
    this.element.dataset.loaded = String(this.error ? "error" : this.backups !== null);
    this.element.dataset.busy = String(this.working !== null);
    super.render();
  }

  body() {
    return html`
      <div class="bar">
        <button class="button primary" type="button" data-action="create-backup" autofocus
          ?disabled=${this.working !== null} @click=${() => this.create()}>
          ${icon("plus")} Back up now
        </button>
        <button class="button" type="button" data-action="refresh-backups" @click=${() => this.load()}>
          ${icon("restart")} Refresh
        </button>
        <span role="status" class="muted">${this.working ? progressText(this.working) : nothing}</span>
      </div>
      ${this.error ? html`<p class="form-error" role="alert">${this.error.message}</p>` : nothing}
      ${this.backups?.length === 0
        ? empty("backup", "No backup yet", "A backup holds the app with its data, and outlives it.")
        : nothing}
      <ul id="backup-list" class="backup-list">
        ${repeat(this.backups ?? [], ({ id }) => id, (backup) =>
          backupItem(backup, { changed: () => this.load() }))}
      </ul>
    `;
  }

  async create() {
    this.working = { status: "queued" };
    this.update();
    await attempt(async () => {
      const path = `/apps/${encodeURIComponent(this.app.id)}/backups`;
      const accepted = await api.post(path);
      this.working = accepted.operation;
      const end = store.accept(accepted);
      await this.load();
      const operation = await end;
      if (operation?.error) throw new Error(operation.error);
    });
    this.working = null;
    await this.load();
  }
}

export class RestoreDialog extends TaskDialog {
  constructor(backup) {
    super("restoreModal", `Restore ${backup.app_hostname}`);
    this.backup = backup;
    this.exists = store.apps.some(({ hostname }) => hostname === backup.app_hostname);
  }

  form() {
    const { backup } = this;
    return html`
      <p>The backup of <strong>${backup.app_hostname}</strong> (${backup.app_name}
        ${backup.app_version}) from ${time(backup.created_at)}.</p>
      <form id="restoreForm" class="form" @submit=${(event) => this.submit(event)}>
        <label>Hostname
          <input id="restoreHostname" name="hostname" maxlength="63" autocomplete="off" autofocus
            spellcheck="false" required value=${backup.app_hostname} />
          <span class="help">Keep it to bring the app back as it was; another name makes a second app.</span>
          ${fieldError(this.error, "hostname")}
        </label>
        ${this.exists
          ? html`<label class="check">
              <input id="restoreOverwrite" name="overwrite" type="checkbox" />
              <span>Replace the app <strong>${backup.app_hostname}</strong> that exists now</span>
            </label>`
          : nothing}
      </form>
    `;
  }

  submit(event) {
    event.preventDefault();
    const told = new FormData(event.target);
    const hostname = told.get("hostname").trim();
    this.begin(() =>
      api.post(`/backups/${this.backup.id}/restore`, {
        hostname: hostname === this.backup.app_hostname ? null : hostname,
        overwrite: told.has("overwrite"),
      }),
    );
  }

  formFoot() {
    return formFoot({ form: "restoreForm", label: "Restore", action: "start-restore" }, this);
  }

  success() {
    return html`<strong>${this.accepted.app.hostname}</strong> is back.`;
  }
}
