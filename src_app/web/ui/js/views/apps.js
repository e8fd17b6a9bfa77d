// All apps, as cards; the canvas of one of them, where the address says so.

import { html, nothing } from "../../vendor/lit-html/lit-html.js";
import { repeat } from "../../vendor/lit-html/directives/repeat.js";
import { appCard } from "../appcard.js";
import { AdoptDialog } from "../dialogs/adopt.js";
import { CanvasDialog } from "../dialogs/canvas.js";
import { toast } from "../dialogs/dialog.js";
import { plural } from "../format.js";
import { operations } from "../operations.js";
import { empty, heading, icon } from "../parts.js";
import { go } from "../router.js";
import { session } from "../session.js";
import { store } from "../store.js";
import { View } from "./view.js";

const FILTERS = {
  all: () => true,
  running: (app) => app.status === "running",
  stopped: (app) => app.status === "stopped",
  problems: (app) => app.status === "error" || app.status === "update_failed",
};

export class AppsView extends View {
  search = "";
  filter = "all";
  canvas = null;

  constructor() {
    super("apps");
    store.addEventListener("change", () => this.#changed());
    operations.addEventListener("change", () => this.update());
  }

  async load(signal) {
    await store.loadApps({ signal });
  }

  shown() {
    this.#usage();
    this.#showCanvas(this.params.get("canvas"));
  }

  hidden() {
    this.#showCanvas(null);
  }

  #changed() {
    this.update();
    if (this.isShown) this.#usage();
  }

  #usage() {
    store.loadUsage().catch(() => {}); // figures beside the cards: the cards do without them
  }

  // The address decides: back and forward, too, open and close the canvas.
  #showCanvas(id) {
    if (this.canvas?.app.id === id) return;
    const before = this.canvas;
    this.canvas = null;
    before?.close();
    if (!id) return;
    const app = store.app(id);
    if (!app) {
      toast(`There is no app "${id}".`, "bad");
      go("apps", {}, { replace: true });
      return;
    }
    const canvas = new CanvasDialog(app);
    this.canvas = canvas;
    canvas.show().closed.then(() => {
      if (this.canvas !== canvas) return;
      this.canvas = null;
      go("apps");
    });
  }

  template() {
    const found = store.apps.filter((app) => FILTERS[this.filter](app) && this.#matches(app));
    return html`
      ${heading("Apps", plural(store.apps.length, "app"), this.actions())}
      ${store.apps.length ? this.bar() : nothing}
      ${store.apps.length === 0
        ? empty("apps", "No apps yet", "Pick one from the catalog; it runs in a container of its own.",
            html`<button class="button primary" type="button" @click=${() => go("catalog")}>Browse the catalog</button>`)
        : found.length === 0
          ? empty("search", "No app matches", "Try other words, or another filter.")
          : html`<div class="grid" id="appsGrid">${repeat(found, ({ id }) => id, appCard)}</div>`}
    `;
  }

  #matches({ hostname, name, catalog_id, owner }) {
    const hay = `${hostname} ${name} ${catalog_id} ${owner}`.toLowerCase();
    return this.search.toLowerCase().split(/\s+/).every((word) => hay.includes(word));
  }

  actions() {
    return html`
      ${session.isAdmin
        ? html`<button class="button" type="button" data-action="adopt"
            @click=${() => new AdoptDialog().show()}>${icon("adopt")} Adopt a container</button>`
        : nothing}
      <button class="button primary" type="button" data-action="go-catalog"
        @click=${() => go("catalog")}>${icon("plus")} Deploy an app</button>`;
  }

  bar() {
    const type = ({ target }) => {
      this.search = target.value;
      this.update();
    };
    const choose = (name) => {
      this.filter = name;
      this.update();
    };
    return html`
      <div class="bar">
        <label class="search">${icon("search")}<span class="sr-only">Search apps</span>
          <input id="appsSearchInput" type="search" placeholder="Search apps" .value=${this.search}
            @input=${type} /></label>
        <div class="chips" role="group" aria-label="Filter">
          ${Object.keys(FILTERS).map((name) => html`
            <button class="chip" type="button" data-filter=${name} aria-pressed=${name === this.filter}
              @click=${() => choose(name)}>${name}</button>`)}
        </div>
      </div>`;
  }
}
