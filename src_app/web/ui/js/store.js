// What several views show: the apps, how much they use, the catalog, the manager's mode.

import { api, isAbort } from "./api.js";
import { operations } from "./operations.js";
import { session } from "./session.js";

const REFRESH_MS = 5000;
const USAGE_MS = 10_000; // the manager asks Proxmox no more often
const USAGE_APPS = 24;

class Store extends EventTarget {
  apps = [];
  usage = new Map();
  settled = new Map(); // the operation of each app whose outcome is in the list
  catalog = [];
  mode = "pro";
  #asked = 0;
  #timer = null;
  #usageAt = 0;

  async loadApps({ signal } = {}) {
    const asked = ++this.#asked;
    const { apps } = await api.get("/apps?per_page=200", { signal });
    if (asked !== this.#asked) return; // a later answer was here first
    this.apps = apps;
    for (const app of apps) {
      if (app.operation_id) this.#follow(operations.followId(app.operation_id));
    }
    this.#changed();
  }

  async loadCatalog({ signal } = {}) {
    const { items } = await api.get("/apps/catalog", { signal });
    this.catalog = items;
    this.#changed();
  }

  async loadMode() {
    this.setMode((await api.get("/system/info")).mode);
  }

  setMode(mode) {
    this.mode = mode;
    document.body.dataset.mode = mode;
    this.#changed();
  }

  app(id) {
    return this.apps.find((app) => app.id === id);
  }

  // Something was asked for: show it at once, follow it, and say how it ended.
  accept({ app, operation }) {
    this.#asked += 1; // a list that was asked for before knows less than this
    const others = this.apps.filter((other) => other.id !== app.id);
    this.apps = [...others, app].sort((a, b) => a.hostname.localeCompare(b.hostname));
    const end = operations.follow(operation);
    this.#changed();
    return this.#follow(end);
  }

  async #follow(end) {
    try {
      const operation = await end;
      await this.loadApps();
      this.settled.set(operation.app_id, operation.id);
      this.#changed();
      return operation;
    } catch (error) {
      if (isAbort(error) || !session.isAuthenticated()) return null;
      console.warn("an operation could not be followed:", error);
      return null;
    }
  }

  async loadUsage() {
    if (Date.now() - this.#usageAt < USAGE_MS) return;
    this.#usageAt = Date.now();
    const running = this.apps.filter((app) => app.status === "running" && !app.operation_id);
    await Promise.allSettled(
      running.slice(0, USAGE_APPS).map(async (app) => {
        this.usage.set(app.id, await api.get(`/apps/${encodeURIComponent(app.id)}/stats`));
      }),
    );
    this.#changed();
  }

  start() {
    this.#timer ??= setInterval(() => this.#tick(), REFRESH_MS);
  }

  stop() {
    clearInterval(this.#timer);
    this.#timer = null;
    this.#asked += 1;
    operations.forget();
    this.apps = [];
    this.usage.clear();
    this.settled.clear();
    this.#usageAt = 0;
    this.#changed();
  }

  async #tick() {
    if (document.hidden || !session.isAuthenticated()) return;
    try {
      await this.loadApps();
    } catch {
      // The next tick asks again; a view that is opened meanwhile says what is wrong.
    }
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}

export const store = new Store();
