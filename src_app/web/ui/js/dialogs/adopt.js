// Adopting a container that others made: choose one, say how it is reached, watch.

import { html } from "../../vendor/lit-html/lit-html.js";
import { api, isAbort } from "../api.js";
import { bytes } from "../format.js";
import { empty, fieldError, icon } from "../parts.js";
import { formFoot, TaskDialog } from "./dialog.js";

const MIB = 1024 * 1024;

export class AdoptDialog extends TaskDialog {
  candidates = null;
  chosen = null;

  constructor() {
    super("adoptModal", "Adopt a container", "wide");
    this.load();
  }

  async load() {
    try {
      this.candidates = await api.get("/apps/discover");
    } catch (error) {
      if (isAbort(error)) return;
      this.error = error;
    }
    this.update();
  }

  render() {
    this.element.dataset.loaded = String(this.error && !this.candidates ? "error" : this.candidates !== null);
    this.element.dataset.step = this.operation ? "3" : this.chosen ? "2" : "1";
    super.render();
  }

  form() {
    return html`
      <ol class="wizard" aria-label="Steps">
        ${["Choose", "Describe", "Adopt"].map((name, index) => html`
          <li aria-current=${String(index) === String(this.chosen ? 1 : 0) ? "step" : "false"}>${name}</li>`)}
      </ol>
      ${this.chosen ? this.description() : this.choice()}`;
  }

  choice() {
    if (!this.candidates) return this.error ? "" : html`<p role="status">Looking for containers…</p>`;
    if (!this.candidates.length) {
      return empty("adopt", "Nothing to adopt", "Every container on this Proxmox is an app already.");
    }
    return html`
      <p class="muted">These containers run beside your apps. Adopting one leaves it as it is.</p>
      <ul class="choices" id="adoptCandidates">
        ${this.candidates.map((found) => html`
          <li><button type="button" class="choice" data-vmid=${found.vmid} data-testid="candidate"
            @click=${() => this.choose(found)}>
            <strong>${found.name || `container ${found.vmid}`}</strong>
            <span class="muted">${found.vmid} on ${found.node}, ${found.cores} cores,
              ${bytes(found.memory_mib * MIB)}</span>
            <span class="status-badge status-${found.status}">${found.status}</span>
          </button></li>`)}
      </ul>`;
  }

  choose(candidate) {
    this.chosen = candidate;
    this.error = null;
    this.update();
    queueMicrotask(() => this.element.querySelector("#adoptHostname")?.focus());
  }

  description() {
    return html`
      <form id="adoptForm" class="form" @submit=${(event) => this.submit(event)}>
        <p>Container <strong>${this.chosen.vmid}</strong> on ${this.chosen.node}
          <button class="link" type="button" data-action="choose-another"
            @click=${() => this.choose(null)}>choose another</button></p>
        <div class="row">
          <label>Hostname
            <input id="adoptHostname" name="hostname" required maxlength="63" autocomplete="off"
              spellcheck="false" value=${this.chosen.name} />
            ${fieldError(this.error, "hostname")}
          </label>
          <label>Port it serves
            <input id="adoptPort" name="port" type="number" min="1" max="65535" value="80" required />
            ${fieldError(this.error, "port")}
          </label>
        </div>
      </form>`;
  }

  submit(event) {
    event.preventDefault();
    const told = new FormData(event.target);
    this.begin(() =>
      api.post("/apps/adopt", {
        vmid: this.chosen.vmid,
        hostname: told.get("hostname").trim(),
        port: Number(told.get("port")),
      }),
    );
  }

  formFoot() {
    if (!this.chosen) return "";
    return formFoot({ form: "adoptForm", label: "Adopt", action: "start-adopt" }, this);
  }

  success() {
    return html`${icon("apps")} <strong>${this.accepted.app.hostname}</strong> is an app now.`;
  }
}
