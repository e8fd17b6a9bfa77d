// Looking at an app: its log, what can be asked of its container, its volumes.

import { html, nothing } from "../../vendor/lit-html/lit-html.js";
import { api, isAbort } from "../api.js";
import { icon } from "../parts.js";
import { Dialog } from "./dialog.js";

// A dialog that shows what one request brings.
class LookDialog extends Dialog {
  content = null;
  error = null;
  #abort = new AbortController();

  constructor(id, title, app, className = "wide") {
    super(id, title, className);
    this.app = app;
    this.path = `/apps/${encodeURIComponent(app.id)}`;
  }

  async load(work) {
    Object.assign(this, { content: null, error: null });
    this.update();
    try {
      this.content = await work({ signal: this.#abort.signal });
    } catch (error) {
      if (isAbort(error)) return;
      this.error = error;
    }
    this.update();
  }

  gone() {
    this.#abort.abort();
  }

  render() {
    this.element.dataset.loaded = this.error ? "error" : String(this.content !== null);
    super.render();
  }

  shown() {
    if (this.error) return html`<p class="form-error" role="alert">${this.error.message}</p>`;
    return this.content === null ? html`<p role="status">Loading…</p>` : this.result();
  }
}

export class LogsDialog extends LookDialog {
  lines = 200;

  constructor(app) {
    super("logsModal", `Log of ${app.hostname}`, app);
    this.read();
  }

  read() {
    return this.load((options) => api.get(`${this.path}/logs?lines=${this.lines}`, options));
  }

  body() {
    const choose = ({ target }) => {
      this.lines = Number(target.value);
      this.read();
    };
    return html`
      <div class="bar">
        <label class="inline">Lines
          <select id="logLines" @change=${choose}>
            ${[50, 200, 1000].map((count) => html`<option ?selected=${count === this.lines}>${count}</option>`)}
          </select>
        </label>
        <button class="button" type="button" data-action="refresh-logs" @click=${() => this.read()}>
          ${icon("restart")} Refresh
        </button>
      </div>
      ${this.shown()}`;
  }

  result() {
    const { lines } = this.content;
    return html`<pre class="terminal" id="logOutput" tabindex="0" aria-label="Log">${lines.join("\n") || "Nothing happened yet."}</pre>`;
  }
}

export class ConsoleDialog extends LookDialog {
  commands = {};
  chosen = "status";

  constructor(app) {
    super("consoleModal", `Console of ${app.hostname}`, app);
    api.get(`${this.path}/commands`).then((found) => {
      this.commands = found;
      this.update();
    }, (error) => {
      this.error = error;
      this.update();
    });
    this.run("status");
  }

  run(command) {
    this.chosen = command;
    return this.load((options) => api.post(`${this.path}/command/${command}`, {}, options));
  }

  body() {
    return html`
      <p class="muted">What can be asked of the container; nothing here changes it.</p>
      <div class="chips" role="group" aria-label="Commands">
        ${Object.entries(this.commands).map(([name, text]) => html`
          <button class="chip" type="button" data-command=${name} title=${text}
            aria-pressed=${name === this.chosen} @click=${() => this.run(name)}>${name}</button>`)}
      </div>
      ${this.shown()}`;
  }

  result() {
    return html`<pre class="terminal" id="consoleOutput" tabindex="0" data-command=${this.content.command}
      aria-label="Output of ${this.content.command}"><span class="prompt">${this.app.hostname} $ ${this.content.command}</span>
${told(this.content.output)}</pre>`;
  }
}

function told(output) {
  if (Array.isArray(output)) return output.length ? output.map(line).join("\n") : "(nothing)";
  if (output === null || typeof output !== "object") return String(output);
  const width = Math.max(...Object.keys(output).map((key) => key.length));
  return Object.entries(output).map(([key, value]) => `${key.padEnd(width)}  ${line(value)}`).join("\n");
}

const line = (value) => (value !== null && typeof value === "object" ? JSON.stringify(value) : String(value));

export class VolumesDialog extends LookDialog {
  constructor(app) {
    super("volumesModal", `Volumes of ${app.hostname}`, app, "");
    this.load((options) => api.post(`${this.path}/command/config`, {}, options));
  }

  body() {
    return html`<p class="muted">Updates and rollbacks carry the data volume along; backups hold both.</p>${this.shown()}`;
  }

  result() {
    const found = Object.entries(this.content.output).filter(([key]) => /^(rootfs|mp\d+)$/.test(key));
    return html`
      <table class="table">
        <thead><tr><th scope="col">Volume</th><th scope="col">Mounted at</th><th scope="col">Size</th><th scope="col">On Proxmox</th></tr></thead>
        <tbody>${found.map(([key, text]) => this.row(key, String(text)))}</tbody>
      </table>`;
  }

  row(key, text) {
    const [volume, ...options] = text.split(",");
    const facts = Object.fromEntries(options.map((option) => option.split("=")));
    return html`
      <tr data-volume=${key}>
        <th scope="row">${key === "rootfs" ? "System" : "Data"}</th>
        <td><code>${facts.mp ?? "/"}</code></td><td>${facts.size ?? nothing}</td>
        <td><code>${volume}</code></td>
      </tr>`;
  }
}
