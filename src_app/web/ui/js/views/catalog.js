// The catalog: what can be deployed.

import { html } from "../../vendor/lit-html/lit-html.js";
import { repeat } from "../../vendor/lit-html/directives/repeat.js";
import { DeployDialog } from "../dialogs/deploy.js";
import { plural } from "../format.js";
import { appIcon, empty, heading, icon } from "../parts.js";
import { go } from "../router.js";
import { store } from "../store.js";
import { View } from "./view.js";

export class CatalogView extends View {
  constructor() {
    super("catalog");
    store.addEventListener("change", () => this.update());
  }

  async load(signal) {
    await store.loadCatalog({ signal });
  }

  get search() {
    return this.params.get("q") ?? "";
  }

  get category() {
    return this.params.get("category") ?? "";
  }

  // The address keeps what was searched for; history does not get an entry for each letter.
  #look(changes) {
    const told = { q: this.search, category: this.category, ...changes };
    const params = Object.fromEntries(Object.entries(told).filter(([, value]) => value));
    this.params = new URLSearchParams(params);
    const query = this.params.toString();
    history.replaceState(null, "", `/catalog${query ? `?${query}` : ""}`);
    this.update();
  }

  template() {
    const words = this.search.toLowerCase().split(/\s+/);
    const found = store.catalog.filter((entry) => {
      const hay = [entry.id, entry.name, entry.description, entry.category, ...entry.tags].join(" ").toLowerCase();
      return (!this.category || entry.category === this.category) && words.every((word) => hay.includes(word));
    });
    return html`
      ${heading("Catalog", `${plural(store.catalog.length, "app")} that run in a container of their own.`)}
      <div class="bar">
        <label class="search">${icon("search")}<span class="sr-only">Search the catalog</span>
          <input id="catalogSearchInput" type="search" placeholder="Search the catalog" .value=${this.search}
            @input=${({ target }) => this.#look({ q: target.value })} /></label>
        <div class="chips" role="group" aria-label="Categories">${this.categories()}</div>
      </div>
      ${found.length
        ? html`<div class="grid" id="catalogGrid">${repeat(found, ({ id }) => id, (entry) => this.card(entry))}</div>`
        : empty("search", "Nothing matches", "Try other words, or another category.")}
    `;
  }

  categories() {
    const names = ["", ...new Set(store.catalog.map(({ category }) => category).sort())];
    return names.map((name) => html`
      <button class="chip" type="button" data-category=${name || "all"} aria-pressed=${name === this.category}
        @click=${() => this.#look({ category: name })}>${name || "all"}</button>`);
  }

  card(entry) {
    const deployed = store.apps.filter(({ catalog_id }) => catalog_id === entry.id).length;
    return html`
      <article class="card app-card catalog-card" data-catalog-id=${entry.id} data-testid="catalog-card">
        <header class="app-head">
          ${appIcon(entry.name)}
          <div class="app-title">
            <h2><button class="card-link app-name" type="button" data-action="deploy-entry"
              @click=${() => new DeployDialog(entry).show()}>${entry.name}</button></h2>
            <p class="muted">${entry.category} · ${entry.version}</p>
          </div>
        </header>
        <p class="catalog-text">${entry.description}</p>
        <footer class="catalog-foot muted">
          <span>${plural(entry.min_cores, "core")} · ${entry.min_memory_mib} MiB</span>
          ${deployed
            ? html`<button class="tag above" type="button" @click=${() => go("apps")}>${deployed} deployed</button>`
            : html`<span class="tag quiet">${icon("plus")} deploy</span>`}
        </footer>
      </article>`;
  }
}
