// Logging in and registering: the first user is the admin.

import { html, nothing } from "../../vendor/lit-html/lit-html.js";
import { api } from "../api.js";
import { icon } from "../parts.js";
import { session } from "../session.js";
import { Dialog } from "./dialog.js";

class LoginDialog extends Dialog {
  tab = "login";
  error = null;
  sending = false;
  firstRun = false;

  constructor(notice) {
    super("authModal", "App manager", "auth");
    this.notice = notice;
    api.get("/system/status/initial", { anonymous: true }).then(({ is_first_run }) => {
      this.firstRun = is_first_run;
      if (is_first_run) this.tab = "register";
      this.update();
    }, () => {});
  }

  mayClose() {
    return false;
  }

  frame() {
    const tab = (name, id, label) => html`
      <button role="tab" id=${id} type="button" aria-controls="authPanel"
        aria-selected=${this.tab === name} tabindex=${this.tab === name ? 0 : -1}
        @click=${() => this.switchTo(name)} @keydown=${(event) => this.arrow(event)}>${label}</button>`;
    return html`
      <div class="modal-box auth-box">
        <header class="auth-head">
          <svg class="brand-mark" aria-hidden="true"><use href="#icon-brand"></use></svg>
          <h2 class="modal-title" id="authModalTitle">App manager</h2>
          <p class="muted">Apps on your own Proxmox, one click away.</p>
        </header>
        ${this.notice ? html`<p class="note warm" id="authNotice" role="alert">${this.notice}</p>` : nothing}
        ${this.firstRun ? html`<p class="note good">${icon("check")} Nobody is registered yet: you become the admin.</p>` : nothing}
        <div class="tabs" role="tablist" aria-label="Log in or register">
          ${tab("login", "loginTab", "Log in")}${tab("register", "registerTab", "Register")}
        </div>
        <div id="authPanel" role="tabpanel" aria-labelledby=${this.tab === "login" ? "loginTab" : "registerTab"}>
          ${this.tab === "login" ? this.loginForm() : this.registerForm()}
        </div>
      </div>`;
  }

  switchTo(name) {
    Object.assign(this, { tab: name, error: null });
    this.update();
  }

  arrow(event) {
    if (!["ArrowLeft", "ArrowRight"].includes(event.key)) return;
    this.switchTo(this.tab === "login" ? "register" : "login");
    queueMicrotask(() => this.element.querySelector("[aria-selected=true]").focus());
  }

  loginForm() {
    return html`
      <form id="loginForm" class="form" @submit=${(event) => this.submit(event, "/auth/login")}>
        <label>Username
          <input id="loginUsername" name="username" required autocomplete="username" autofocus /></label>
        <label>Password
          <input id="loginPassword" name="password" type="password" required
            autocomplete="current-password" /></label>
        <p id="loginError" class="form-error" role="alert" ?hidden=${!this.error}>${this.error?.message}</p>
        <button class="button primary block" type="submit" ?disabled=${this.sending}>Log in</button>
      </form>`;
  }

  registerForm() {
    return html`
      <form id="registerForm" class="form" @submit=${(event) => this.submit(event, "/auth/register")}>
        <label>Username
          <input id="registerUsername" name="username" required minlength="3" maxlength="50"
            autocomplete="username" /></label>
        <label>Email, optional
          <input id="registerEmail" name="email" type="email" autocomplete="email" /></label>
        <label>Password
          <input id="registerPassword" name="password" type="password" required minlength="8"
            autocomplete="new-password" /><span class="help">At least 8 characters.</span></label>
        <p id="registerError" class="form-error" role="alert" ?hidden=${!this.error}>${this.error?.message}</p>
        <button class="button primary block" type="submit" ?disabled=${this.sending}>Register</button>
      </form>`;
  }

  async submit(event, path) {
    event.preventDefault();
    if (this.sending) return;
    const told = Object.fromEntries(new FormData(event.target));
    if (!told.email) delete told.email;
    Object.assign(this, { sending: true, error: null });
    this.update();
    try {
      const login = await api.post(path, told, { anonymous: true });
      this.close();
      session.begin(login);
    } catch (error) {
      this.error = error;
    } finally {
      this.sending = false;
      this.update();
    }
  }
}

export const askToLogIn = (notice = "") => {
  const shown = document.getElementById("authModal");
  return shown ? null : new LoginDialog(notice).show();
};
