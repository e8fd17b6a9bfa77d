// Views and their addresses: /apps?canvas=… is a view and what it is asked to show.

export const VIEWS = ["dashboard", "apps", "catalog", "backups", "nodes", "monitoring", "settings"];

class Router extends EventTarget {
  view = null;
  params = new URLSearchParams();

  // What the address bar says.
  read() {
    const name = location.pathname.replace(/^\/|\/$/g, "") || "dashboard";
    this.view = VIEWS.includes(name) ? name : "missing";
    this.params = new URLSearchParams(location.search);
    this.dispatchEvent(new Event("change"));
  }

  start() {
    window.addEventListener("popstate", () => this.read());
    document.addEventListener("click", (event) => this.#clicked(event));
  }

  go(view, params = {}, { replace = false } = {}) {
    const told = new URLSearchParams(params).toString();
    const url = `/${view}${told ? `?${told}` : ""}`;
    const same = url === location.pathname + location.search;
    history[replace || same ? "replaceState" : "pushState"](null, "", url);
    this.read();
  }

  #clicked(event) {
    const link = event.target.closest?.("a[href]");
    if (!link || event.defaultPrevented || event.button !== 0) return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const [path, asked] = link.getAttribute("href").split("?");
    if (link.target || !VIEWS.includes(path.slice(1))) return;
    event.preventDefault();
    this.go(path.slice(1), new URLSearchParams(asked));
  }
}

export const router = new Router();
export const go = (view, params, options) => router.go(view, params, options);
