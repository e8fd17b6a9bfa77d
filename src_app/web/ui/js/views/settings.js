// Settings: the account for everybody, the manager for admins.

import { html, nothing } from "../../vendor/lit-html/lit-html.js";
import { live } from "../../vendor/lit-html/directives/live.js";
import { api } from "../api.js";
import { attempt, confirm, toast } from "../dialogs/dialog.js";
import { moment, time } from "../format.js";
import { fieldError, heading, icon, problemText } from "../parts.js";
import { session } from "../session.js";
import { store } from "../store.js";
import { View } from "./view.js";

const FORMS = [
  {
    id: "proxmoxForm", group: "proxmox", title: "Proxmox",
    text: "How the manager reaches Proxmox. What is empty comes from its environment.",
    fields: [
      ["proxmox_host", "Host"], ["proxmox_port", "Port"], ["proxmox_user", "User"],
      ["proxmox_password", "Password", "password"], ["proxmox_token_name", "Token name"],
      ["proxmox_token_value", "Token value", "password"], ["proxmox_verify_ssl", "Verify TLS (true, false or a CA file)"],
    ],
  },
  {
    id: "networkForm", group: "network", title: "Network",
    text: "Where new containers are plugged in; they get their address by DHCP.",
    fields: [["bridge", "Bridge"]],
  },
  {
    id: "resourcesForm", group: "resources", title: "Resources",
    text: "Where new containers and backups are kept. Empty: the storage with the most space.",
    fields: [["storage", "Storage for containers"], ["backup_storage", "Storage for backups"], ["image_storage", "Storage for images"], ["pool", "Resource pool"]],
  },
  {
    id: "autoForm", group: "auto", title: "Schedules",
    text: "What AUTO mode does by itself, and which backups it keeps.",
    fields: [
      ["backup_rule", "Back up all apps"], ["update_rule", "Look for updates"], ["keep_last", "Keep the last"],
      ["keep_daily", "Keep daily"], ["keep_weekly", "Keep weekly"], ["keep_monthly", "Keep monthly"],
    ],
  },
];

export class SettingsView extends View {
  settings = null;
  users = [];
  schedules = [];
  audit = [];
  problems = {};
  ghosts = null;
  connection = "";

  constructor() {
    super("settings");
    session.addEventListener("known", () => this.isShown && this.reload());
  }

  async load(signal) {
    session.user ?? session.known(await api.get("/auth/me", { signal }));
    if (!session.isAdmin) {
      this.settings = null;
      return;
    }
    const [settings, users, schedules, audit] = await Promise.all(
      ["/settings", "/users", "/schedules", "/audit?per_page=20"].map((path) => api.get(path, { signal })),
    );
    signal.throwIfAborted();
    Object.assign(this, { settings, users, schedules, audit: audit.entries });
  }

  template() {
    return html`
      ${heading("Settings", session.isAdmin ? "Your account, and the manager." : "Your account.")}
      <div class="settings">
        ${this.account()}
        ${this.settings
          ? html`${this.mode()}${FORMS.map((form) => this.form(form))}${this.people()}${this.cleaning()}${this.log()}`
          : nothing}
      </div>`;
  }

  // --- the account --------------------------------------------------------------------------

  account() {
    return html`
      <section class="card" aria-labelledby="accountTitle">
        <h2 id="accountTitle">Your account</h2>
        <p class="muted">${session.user?.username}${session.user?.email ? ` · ${session.user.email}` : ""}</p>
        <form id="passwordForm" class="form" @submit=${(event) => this.changePassword(event)}>
          <input type="text" name="username" autocomplete="username" hidden .value=${session.user?.username ?? ""} />
          <div class="row">
            <label>Present password
              <input id="oldPassword" name="old_password" type="password" required autocomplete="current-password" />
              ${fieldError(this.problems.password, "old_password")}</label>
            <label>New password
              <input id="newPassword" name="new_password" type="password" required minlength="8" autocomplete="new-password" />
              ${fieldError(this.problems.password, "new_password")}</label>
          </div>
          ${problemText(this.problems.password)}
          <button class="button" type="submit" data-action="change-password">Change password</button>
        </form>
      </section>`;
  }

  async changePassword(event) {
    event.preventDefault();
    const form = event.target;
    const { old_password, new_password } = Object.fromEntries(new FormData(form));
    await this.#attempt("password", async () => {
      await api.post("/auth/change-password", { old_password, new_password });
      form.reset();
      toast("The password was changed; your other logins have ended.");
    });
  }

  async #attempt(name, work) {
    delete this.problems[name];
    try {
      await work();
    } catch (error) {
      this.problems[name] = error;
    }
    this.update();
  }

  // --- the manager --------------------------------------------------------------------------

  mode() {
    const auto = this.settings.general.mode === "auto";
    return html`
      <section class="card" aria-labelledby="modeTitle">
        <h2 id="modeTitle">Mode</h2>
        <label class="switch">
          <input id="modeToggleInput" type="checkbox" role="switch" .checked=${live(auto)}
            @change=${({ target }) => this.setMode(target.checked ? "auto" : "pro")} />
          <span><strong>${auto ? "AUTO" : "PRO"}</strong>
            <span class="muted">${auto
              ? "Backups and update checks run by schedule; cloning and resources are out of the way."
              : "Everything by hand, with cloning and resources in the menu of each app."}</span></span>
        </label>
      </section>`;
  }

  setMode(mode) {
    return this.#attempt("mode", async () => {
      this.settings = await api.put("/settings", { values: { mode } });
      store.setMode(mode);
      toast(`The manager is in ${mode.toUpperCase()} mode.`);
    });
  }

  form({ id, group, title, text, fields }) {
    const values = this.settings[group] ?? {};
    const error = this.problems[id];
    return html`
      <section class="card" aria-labelledby="${id}Title">
        <h2 id="${id}Title">${title}</h2>
        <p class="muted">${text}</p>
        <form id=${id} class="form" data-testid=${id} @submit=${(event) => this.save(event, id)}>
          <div class="row">${fields.map(([name, label, type = "text"]) => html`
            <label>${label}
              <input id="setting-${name}" name=${name} type=${type} .value=${values[name] ?? ""}
                autocomplete=${type === "password" ? "new-password" : "off"} spellcheck="false" />
              ${fieldError(error, name)}</label>`)}</div>
          ${problemText(error)}
          <div class="bar">
            <button class="button primary" type="submit" data-action="save-${group}">Save</button>
            ${group === "proxmox"
              ? html`<button class="button" type="button" data-action="test-connection"
                  @click=${() => this.testConnection()}>Test the connection</button>
                <span role="status" data-testid="connection">${this.connection}</span>`
              : nothing}
          </div>
          ${group === "auto" ? this.schedule() : nothing}
        </form>
      </section>`;
  }

  async save(event, id) {
    event.preventDefault();
    const values = Object.fromEntries(new FormData(event.target));
    await this.#attempt(id, async () => {
      this.settings = await api.put("/settings", { values });
      this.schedules = await api.get("/schedules");
      toast("The settings were saved.");
    });
  }

  async testConnection() {
    this.connection = "Asking Proxmox…";
    this.update();
    const found = await attempt(() => api.post("/system/test-connection"));
    this.connection = found ? `${found.ok ? "✓" : "✗"} ${found.detail}` : "";
    this.update();
  }

  schedule() {
    return html`<ul class="plain-list">${this.schedules.map((row) => html`
      <li class="spread" data-schedule=${row.kind}>
        <span><strong>${row.kind}</strong> <span class="muted">${row.enabled ? `next ${time(row.next_at)}` : "only by hand in PRO mode"}
          ${row.last_at ? `· last ${time(row.last_at)}: ${row.last_result}` : ""}</span></span>
        <button class="button small" type="button" data-action="run-schedule" @click=${() => this.runNow(row.kind)}>Run now</button>
      </li>`)}</ul>`;
  }

  async runNow(kind) {
    await attempt(async () => {
      const turn = await api.post(`/schedules/${kind}/run`);
      toast(turn.text || "Done.");
      this.schedules = await api.get("/schedules");
    });
    this.update();
  }

  people() {
    return html`
      <section class="card" aria-labelledby="usersTitle">
        <h2 id="usersTitle">Users</h2>
        <table class="table" id="usersTable">
          <thead><tr><th scope="col">Name</th><th scope="col">Role</th><th scope="col">May log in</th></tr></thead>
          <tbody>${this.users.map((user) => html`
            <tr data-username=${user.username}>
              <th scope="row">${user.username}</th>
              <td><select aria-label="Role of ${user.username}" data-action="change-role" .value=${live(user.role)}
                @change=${({ target }) => this.changeUser(user, { role: target.value })}>
                <option>user</option><option>admin</option>
              </select></td>
              <td><input type="checkbox" aria-label="${user.username} may log in" data-action="change-active"
                .checked=${live(user.is_active)} @change=${({ target }) => this.changeUser(user, { is_active: target.checked })} /></td>
            </tr>`)}</tbody>
        </table>
      </section>`;
  }

  async changeUser(user, changes) {
    const changed = await attempt(() => api.patch(`/users/${user.id}`, changes), "The user was changed.");
    this.users = this.users.map((one) => (one.id === user.id ? changed ?? { ...user } : one));
    this.update();
  }

  cleaning() {
    return html`
      <section class="card" aria-labelledby="cleanTitle">
        <h2 id="cleanTitle">Clean up</h2>
        <p class="muted">Containers of ours without an app, and apps without a container.</p>
        ${this.ghosts?.length === 0 ? html`<p class="note good" data-testid="ghosts">${icon("check")} Nothing is left over.</p>` : nothing}
        ${this.ghosts?.length
          ? html`<ul class="plain-list" data-testid="ghosts">${this.ghosts.map((ghost) => html`
              <li><strong>${ghost.kind} ${ghost.name}</strong> <span class="muted">${ghost.error ?? ghost.text}</span></li>`)}</ul>`
          : nothing}
        <div class="bar">
          <button class="button" type="button" data-action="find-ghosts" @click=${() => this.clean({ dry: true })}>Look</button>
          <button class="button danger" type="button" data-action="remove-ghosts" ?disabled=${!this.ghosts?.length}
            @click=${() => this.clean({ dry: false })}>Remove</button>
        </div>
      </section>`;
  }

  async clean({ dry }) {
    const sure = dry || (await confirm({
      title: "Remove what is left over?", text: "Containers and rows without their other half are removed for good.",
      yes: "Remove", danger: true,
    }));
    if (!sure) return;
    this.ghosts = await attempt(() => api.post("/system/cleanup", { dry_run: dry }));
    this.update();
  }

  log() {
    return html`
      <section class="card" aria-labelledby="auditTitle">
        <h2 id="auditTitle">Who did what</h2>
        <ul class="plain-list" id="auditLog" data-testid="audit">${this.audit.map((entry) => html`
          <li class="entry"><span><strong>${entry.action}</strong> ${entry.subject}</span>
            <span class="muted" title=${time(entry.at)}>${this.#name(entry.user_id)} · ${moment(entry.at)}</span></li>`)}</ul>
      </section>`;
  }

  #name(id) {
    return this.users.find((user) => user.id === id)?.username ?? "the manager";
  }
}
