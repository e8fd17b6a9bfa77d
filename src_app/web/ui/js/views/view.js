// A view: a section that is shown, loads what it shows, and says so in data-loaded.

import { html, nothing, render } from "../../vendor/lit-html/lit-html.js";
import { isAbort } from "../api.js";
import { failure, skeleton } from "../parts.js";
import { session } from "../session.js";

export class View {
  params = new URLSearchParams();
  error = null;
  #abort = null;
  #renders = 0;
  #hasContent = false;

  constructor(name) {
    this.name = name;
    this.root = document.getElementById(`${name}View`);
  }

  get isShown() {
    return this.#abort !== null;
  }

  // Content that is there already stays while it is loaded anew.
  async show(params) {
    this.params = params;
    this.#abort?.abort();
    this.#abort = new AbortController();
    this.root.classList.remove("hidden");
    await this.reload();
  }

  hide() {
    this.#abort?.abort();
    this.#abort = null;
    this.root.classList.add("hidden");
    this.hidden();
  }

  // Forgets whose content it was.
  clear() {
    this.#hasContent = false;
    this.root.dataset.loaded = "false";
    render(nothing, this.root);
  }

  async reload() {
    const { signal } = this.#abort;
    this.root.dataset.loaded = "false";
    this.error = null;
    if (!this.#hasContent) render(skeleton(), this.root);
    try {
      await this.load(signal);
      if (signal.aborted) return;
      this.#hasContent = true;
      this.render();
      this.root.dataset.loaded = "true";
      this.shown();
    } catch (error) {
      if (signal.aborted || isAbort(error) || !session.isAuthenticated()) return;
      this.error = error;
      this.render();
      this.root.dataset.loaded = "error";
    }
  }

  // Renders once for all the changes of a moment, while it is shown.
  update() {
    const mine = ++this.#renders;
    queueMicrotask(() => {
      if (mine === this.#renders && this.isShown && this.#hasContent) this.render();
    });
  }

  render() {
    render(this.error ? this.failure() : html`${this.template()}`, this.root);
  }

  failure() {
    const name = this.root.getAttribute("aria-label");
    return html`<h1 class="sr-only">${name}</h1>${failure(this.error, () => this.reload())}`;
  }

  get signal() {
    return this.#abort?.signal;
  }

  async load() {}

  shown() {}

  hidden() {}

  template() {
    return nothing;
  }
}
