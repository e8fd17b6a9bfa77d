// Dialogs on the browser's own <dialog>: focus, Escape and the inert page behind come with it.

import { html, nothing, render } from "../../vendor/lit-html/lit-html.js";
import { isAbort } from "../api.js";
import { isFinal, operations } from "../operations.js";
import { icon, problemText, progress } from "../parts.js";
import { store } from "../store.js";

const open = new Set();

export class Dialog {
  closed;
  #opener = document.activeElement;
  #renders = 0;

  constructor(id, title, className = "") {
    for (const other of open) if (other.element.id === id) other.close();
    this.title = title;
    this.element = document.createElement("dialog");
    this.element.id = id;
    this.element.className = `modal ${className}`;
    this.element.setAttribute("aria-labelledby", `${id}Title`);
    this.element.addEventListener("close", () => this.#gone());
    this.element.addEventListener("cancel", (event) => {
      if (!this.mayClose()) event.preventDefault();
    });
    this.element.addEventListener("keydown", (event) => {
      // A second Escape in a row closes a dialog whatever "cancel" said.
      if (event.key === "Escape" && !this.mayClose()) event.preventDefault();
    });
    this.element.addEventListener("mousedown", (event) => {
      if (event.target === this.element && this.mayClose()) this.close();
    });
    this.closed = new Promise((resolve) => (this.resolve = resolve));
  }

  mayClose() {
    return true;
  }

  show() {
    document.body.append(this.element);
    open.add(this);
    this.render();
    this.element.showModal();
    this.element.classList.add("show");
    this.element.querySelector("[autofocus]")?.focus();
    return this;
  }

  close(result) {
    this.result = result;
    if (this.element.open) this.element.close();
  }

  render() {
    render(this.frame(), this.element);
  }

  // Many changes at once are one rendering.
  update() {
    const mine = ++this.#renders;
    queueMicrotask(() => mine === this.#renders && this.element.isConnected && this.render());
  }

  frame() {
    return html`
      <div class="modal-box">
        <header class="modal-head">
          <h2 class="modal-title" id="${this.element.id}Title">${this.title}</h2>
          ${this.headActions()}
          <button class="icon-button modal-close" type="button" data-action="close-modal"
            aria-label="Close" title="Close" @click=${() => this.close()}>${icon("close")}</button>
        </header>
        <div class="modal-body">${this.body()}</div>
        ${this.foot()}
      </div>
    `;
  }

  headActions() {
    return nothing;
  }

  body() {
    return nothing;
  }

  foot() {
    return nothing;
  }

  gone() {}

  #gone() {
    open.delete(this);
    this.gone();
    this.element.remove();
    if (this.#opener?.isConnected) this.#opener.focus();
    this.resolve(this.result);
  }
}

export function closeAll() {
  for (const dialog of [...open]) dialog.close();
}

// A question instead of window.confirm: true where the user said yes.
export class Confirm extends Dialog {
  constructor({ title, text, yes, danger = false }) {
    super("confirmModal", title, "small");
    Object.assign(this, { text, yes, danger });
  }

  body() {
    return html`<p>${this.text}</p>`;
  }

  foot() {
    return html`
      <footer class="modal-foot">
        <button class="button" type="button" data-action="confirm-no" autofocus
          @click=${() => this.close(false)}>Cancel</button>
        <button class="button ${this.danger ? "danger" : "primary"}" type="button"
          data-action="confirm-yes" @click=${() => this.close(true)}>${this.yes}</button>
      </footer>
    `;
  }
}

export const confirm = async (question) => (await new Confirm(question).show().closed) === true;

// A dialog that asks for something that takes a while, and shows it to its end.
export class TaskDialog extends Dialog {
  operation = null;
  error = null;
  sending = false;

  constructor(id, title, className) {
    super(id, title, className);
    this.onChange = ({ detail }) => {
      if (detail.id !== this.operation?.id) return;
      this.operation = detail;
      this.update();
    };
    operations.addEventListener("change", this.onChange);
  }

  gone() {
    operations.removeEventListener("change", this.onChange);
  }

  get state() {
    if (this.operation) return isFinal(this.operation) ? this.operation.status : "busy";
    return this.sending ? "sending" : "form";
  }

  render() {
    this.element.dataset.state = this.state;
    this.element.dataset.operation = this.operation?.id ?? "";
    super.render();
  }

  // ask() begins the operation; what it refuses is shown beside the form.
  async begin(ask) {
    if (this.sending) return;
    Object.assign(this, { sending: true, error: null });
    this.update();
    try {
      const accepted = await ask();
      this.accepted = accepted;
      this.operation = accepted.operation;
      const end = store.accept(accepted);
      this.update();
      await end;
    } catch (error) {
      if (isAbort(error)) return;
      this.error = error;
    } finally {
      this.sending = false;
      this.update();
    }
  }

  body() {
    if (!this.operation) return html`${this.form()}${problemText(this.error)}`;
    return html`${this.outcome()}${progress(this.operation)}`;
  }

  // What is said above the steps once it has ended.
  outcome() {
    const { status, error } = this.operation;
    if (!isFinal(this.operation)) return nothing;
    if (status === "succeeded") {
      return html`<div class="note good" data-testid="outcome">${icon("check")}<p>${this.success()}</p></div>`;
    }
    return html`
      <div class="note ${status === "failed" ? "bad" : "warm"}" role="alert" data-testid="outcome">
        ${icon("warn")}
        <div>${this.undone(status)}<p class="reason" data-testid="failure-reason">${error}</p></div>
      </div>
    `;
  }

  success() {
    return "Done.";
  }

  undone(status) {
    if (status === "failed") return html`<p><strong>It failed.</strong></p>`;
    return html`<p><strong>Nothing has changed.</strong> What was begun has been undone.</p>`;
  }

  form() {
    return nothing;
  }

  foot() {
    if (!this.operation) return this.formFoot();
    const busy = this.state === "busy";
    return html`
      <footer class="modal-foot">
        ${busy
          ? html`<button class="button" type="button" data-action="cancel-operation"
              @click=${() => this.cancel()}>Cancel and undo</button>`
          : this.endActions()}
        <button class="button ${busy ? "" : "primary"}" type="button" data-action="modal-done"
          @click=${() => this.close()}>${busy ? "Go on in the background" : "Close"}</button>
      </footer>
    `;
  }

  async cancel() {
    try {
      await operations.cancel(this.operation.id);
    } catch (error) {
      toast(error.message, "bad");
    }
  }

  endActions() {
    return nothing;
  }

  formFoot() {
    return nothing;
  }
}

export const formFoot = ({ form, label, disabled = false, action = "submit" }, dialog) => html`
  <footer class="modal-foot">
    <button class="button" type="button" data-action="modal-cancel" @click=${() => dialog.close()}>
      Cancel
    </button>
    <button class="button primary" type="submit" form=${form} data-action=${action}
      ?disabled=${disabled || dialog.sending}>${label}</button>
  </footer>
`;

// Follows an operation that somebody else began.
export class OperationDialog extends TaskDialog {
  constructor(operation, title) {
    super("operationModal", title);
    this.operation = operation;
  }
}

const TOAST_MS = 6000;

export function toast(text, kind = "good") {
  const shown = document.createElement("div");
  shown.className = `toast ${kind}`;
  shown.dataset.testid = "toast";
  shown.textContent = text;
  document.getElementById("toasts").append(shown);
  setTimeout(() => shown.remove(), TOAST_MS);
}

// Does something at once and says what was refused.
export async function attempt(work, done = "") {
  try {
    const result = await work();
    if (done) toast(done);
    return result;
  } catch (error) {
    if (!isAbort(error)) toast(error.message, "bad");
    return null;
  }
}
