// Boots the page: theme, login, views, navigation.

import { html, render } from "../vendor/lit-html/lit-html.js";
import { api } from "./api.js";
import { closeAll } from "./dialogs/dialog.js";
import { askToLogIn } from "./dialogs/login.js";
import { icon } from "./parts.js";
import { go, router } from "./router.js";
import { session } from "./session.js";
import { store } from "./store.js";
import { isDark, onThemeChange, toggleTheme } from "./theming.js";
import { AppsView } from "./views/apps.js";
import { BackupsView } from "./views/backups.js";
import { CatalogView } from "./views/catalog.js";
import { DashboardView } from "./views/dashboard.js";
import { MissingView } from "./views/missing.js";
import { MonitoringView } from "./views/monitoring.js";
import { NodesView } from "./views/nodes.js";
import { SettingsView } from "./views/settings.js";

const views = {
  dashboard: new DashboardView(),
  apps: new AppsView(),
  catalog: new CatalogView(),
  backups: new BackupsView(),
  nodes: new NodesView(),
  monitoring: new MonitoringView(),
  settings: new SettingsView(),
  missing: new MissingView(),
};

class AppManager {
  isInitialized = false;

  get currentView() {
    return router.view;
  }

  async boot() {
    router.start();
    router.addEventListener("change", () => this.#show());
    session.addEventListener("begun", () => this.#enter());
    session.addEventListener("known", () => this.#account());
    session.addEventListener("ended", ({ detail }) => this.#leave(detail));
    store.addEventListener("change", () => this.#count());
    document.addEventListener("click", closeMenus);
    document.addEventListener("keydown", closeMenuOnEscape);
    onThemeChange(() => this.#account());
    this.#account();
    if (session.isAuthenticated()) await this.#resume();
    else askToLogIn();
    this.isInitialized = true;
  }

  // A token is there: see whose it is, while the view loads already.
  async #resume() {
    this.#enter();
    try {
      session.known(await api.get("/auth/me"));
    } catch (error) {
      console.warn("who is logged in is not known:", error.message);
    }
  }

  #enter() {
    store.start();
    store.loadMode().catch((error) => console.warn("the mode is not known:", error.message));
    this.#account();
    router.read();
  }

  #leave(notice) {
    closeAll();
    store.stop();
    for (const view of Object.values(views)) {
      view.hide();
      view.clear();
    }
    this.#account();
    askToLogIn(notice);
  }

  #show() {
    if (!session.isAuthenticated()) return;
    const wanted = views[router.view];
    for (const view of Object.values(views)) if (view !== wanted && view.isShown) view.hide();
    if (document.querySelector("dialog[open]:not(#canvasModal)")) closeAll();
    for (const link of document.querySelectorAll("[data-view]")) {
      const isHere = link.dataset.view === router.view;
      link.classList.toggle("active", isHere);
      if (isHere) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    document.title = `${wanted.root.getAttribute("aria-label")} · App manager`;
    wanted.show(router.params);
  }

  #count() {
    const badge = document.getElementById("appsCount");
    badge.hidden = store.apps.length === 0;
    badge.textContent = store.apps.length;
  }

  #account() {
    render(account(), document.getElementById("account"));
  }
}

const account = () => html`
  <div class="who" ?hidden=${!session.user}>
    <span class="avatar" aria-hidden="true">${(session.user?.username ?? "?").slice(0, 1).toUpperCase()}</span>
    <span class="user-info" data-testid="user">${session.user?.username ?? ""}</span>
    <span class="tag quiet" data-testid="role" ?hidden=${!session.isAdmin}>admin</span>
  </div>
  <div class="rack-buttons">
    <button class="icon-button" type="button" data-action="toggle-theme" data-testid="theme"
      aria-label=${isDark() ? "Use the light theme" : "Use the dark theme"}
      title=${isDark() ? "Light theme" : "Dark theme"} @click=${toggleTheme}>${icon(isDark() ? "sun" : "moon")}</button>
    <button class="icon-button" type="button" data-action="logout" aria-label="Log out" title="Log out"
      ?hidden=${!session.isAuthenticated()} @click=${logOut}>${icon("logout")}</button>
  </div>
`;

async function logOut() {
  try {
    await api.post("/auth/logout", { refresh_token: session.refreshToken });
  } catch (error) {
    console.warn("the manager was not told of the logout:", error.message);
  }
  session.end();
  go("dashboard");
}

function closeMenus(event) {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
}

function closeMenuOnEscape(event) {
  const menu = event.key === "Escape" && document.querySelector("details.menu[open]");
  if (!menu) return;
  menu.open = false;
  menu.querySelector("summary").focus();
}

window.Auth = session;
window.AppManager = new AppManager();
window.AppManager.boot();
