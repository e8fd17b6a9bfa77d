// All backups, those of deleted apps too.

import { html, nothing } from "../../vendor/lit-html/lit-html.js";
import { repeat } from "../../vendor/lit-html/directives/repeat.js";
import { api } from "../api.js";
import { backupItem } from "../dialogs/backups.js";
import { bytes, plural } from "../format.js";
import { isFinal, operations } from "../operations.js";
import { empty, heading, icon } from "../parts.js";
import { store } from "../store.js";
import { View } from "./view.js";

export class BackupsView extends View {
  backups = [];
  total = 0;
  search = "";

  constructor() {
    super("backups");
    operations.addEventListener("change", ({ detail }) => {
      if (this.isShown && isFinal(detail)) this.reload();
    });
  }

  async load(signal) {
    const [found] = await Promise.all([
      api.get("/backups?per_page=200", { signal }),
      store.loadApps({ signal }), // a restore asks whether the app is there
    ]);
    signal.throwIfAborted();
    this.backups = found.backups;
    this.total = found.total;
  }

  template() {
    const words = this.search.toLowerCase().split(/\s+/);
    const found = this.backups.filter(({ app_hostname, app_name, status }) =>
      words.every((word) => `${app_hostname} ${app_name} ${status}`.toLowerCase().includes(word)));
    const size = this.backups.reduce((sum, { size_bytes }) => sum + size_bytes, 0);
    return html`
      ${heading("Backups", `${plural(this.total, "backup")}, ${bytes(size)}. They outlive their apps.`)}
      ${this.backups.length
        ? html`<div class="bar"><label class="search">${icon("search")}<span class="sr-only">Search backups</span>
            <input id="backupsSearchInput" type="search" placeholder="Search backups" .value=${this.search}
              @input=${({ target }) => {
                this.search = target.value;
                this.update();
              }} /></label></div>`
        : empty("backup", "No backups yet", "Open an app's menu and choose Backups to make one; an update makes one by itself.")}
      ${found.length
        ? html`<ul class="backup-list card" data-testid="all-backups">
            ${repeat(found, ({ id }) => id, (backup) =>
              backupItem(backup, { named: true, changed: () => this.isShown && this.reload() }))}</ul>`
        : nothing}
    `;
  }
}
