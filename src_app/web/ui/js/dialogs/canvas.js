// The canvas: an app inside the manager's page, under the manager's own origin, sandboxed.

import { html, nothing } from "../../vendor/lit-html/lit-html.js";
import { api, isAbort } from "../api.js";
import { appIcon, icon } from "../parts.js";
import { Dialog } from "./dialog.js";

const SANDBOX = "allow-scripts allow-forms allow-popups allow-modals allow-downloads";

export class CanvasDialog extends Dialog {
  state = "loading";
  url = null;
  error = null;
  #abort = new AbortController();
  #bare = false;

  constructor(app) {
    super("canvasModal", app.hostname, "canvas");
    this.app = app;
    this.load();
  }

  // A frame that is refused fires no error: ask for the page first, and say what is wrong.
  async load() {
    Object.assign(this, { state: "loading", url: null, error: null });
    this.update();
    const { signal } = this.#abort;
    try {
      const { url } = await api.post(`/apps/${encodeURIComponent(this.app.id)}/view`, {}, { signal });
      const answer = await fetch(url, { signal });
      if (answer.status >= 500) throw new Error(await told(answer));
      this.url = url;
    } catch (error) {
      if (isAbort(error)) return;
      Object.assign(this, { state: "error", error });
    }
    this.update();
  }

  loaded() {
    if (!this.url) return;
    this.state = "loaded";
    this.update();
  }

  render() {
    this.element.dataset.state = this.state;
    this.element.classList.toggle("bare", this.#bare);
    super.render();
  }

  gone() {
    this.#abort.abort();
  }

  frame() {
    const action = (name, label, sign, work) => html`
      <button class="icon-button" type="button" data-action=${name} aria-label=${label}
        title=${label} @click=${work}>${icon(sign)}</button>`;
    return html`
      <div class="modal-box">
        <header class="modal-head canvas-head">
          ${appIcon(this.app.name, "small")}
          <h2 class="modal-title" id="canvasModalTitle"
            ><span id="canvasAppName">${this.app.hostname}</span
            ><span class="muted canvas-sub"> ${this.app.name} ${this.app.version}</span></h2>
          ${action("canvas-refresh", "Reload the app", "restart", () => this.load())}
          ${action("canvas-new-tab", "Open in a new tab", "external", () => this.newTab())}
          ${action("toggle-canvas-header", "Show or hide the title bar", "frame", () => this.toggle())}
          ${action("canvas-close", "Close", "close", () => this.close())}
        </header>
        <div class="canvas-body">${this.content()}</div>
      </div>
    `;
  }

  content() {
    return html`
      <div id="canvasLoading" class="canvas-state" role="status" ?hidden=${this.state !== "loading"}>
        <span class="spinner" aria-hidden="true"></span> Opening ${this.app.hostname}…
      </div>
      <div id="canvasError" class="canvas-state" role="alert" ?hidden=${this.state !== "error"}>
        ${icon("warn")}
        <p data-testid="canvas-problem">${this.error?.message ?? ""}</p>
        <button class="button" type="button" data-action="canvas-retry" @click=${() => this.load()}>
          Try again
        </button>
      </div>
      ${this.url
        ? html`<iframe id="canvasIframe" title="${this.app.hostname}, ${this.app.name}" src=${this.url}
            sandbox=${SANDBOX} @load=${() => this.loaded()}></iframe>`
        : nothing}
    `;
  }

  newTab() {
    if (this.url) window.open(this.url, "_blank", "noopener");
  }

  toggle() {
    this.#bare = !this.#bare;
    this.update();
  }
}

async function told(answer) {
  const body = await answer.json().catch(() => null);
  return body?.detail ?? `The app answered ${answer.status}`;
}
