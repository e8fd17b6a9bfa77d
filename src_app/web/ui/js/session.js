// Who is logged in: the tokens, kept in localStorage, and the news about them.

const TOKEN = "token";
const REFRESH = "refresh_token";
const EXPIRED = "Your session has ended. Log in again to go on where you were.";

class Session extends EventTarget {
  user = null;
  #renewal = null;

  get token() {
    return localStorage.getItem(TOKEN);
  }

  isAuthenticated() {
    return this.token !== null;
  }

  get isAdmin() {
    return this.user?.role === "admin";
  }

  begin(login) {
    localStorage.setItem(TOKEN, login.access_token);
    localStorage.setItem(REFRESH, login.refresh_token);
    this.user = login.user;
    this.dispatchEvent(new Event("begun"));
  }

  known(user) {
    this.user = user;
    this.dispatchEvent(new Event("known"));
  }

  get refreshToken() {
    return localStorage.getItem(REFRESH);
  }

  end(reason = "") {
    const was = this.isAuthenticated() || this.user !== null;
    localStorage.removeItem(TOKEN);
    localStorage.removeItem(REFRESH);
    this.user = null;
    if (was) this.dispatchEvent(new CustomEvent("ended", { detail: reason }));
  }

  expire() {
    this.end(EXPIRED);
  }

  // One renewal for all requests that find the token too old at the same time.
  renew() {
    this.#renewal ??= this.#renew().finally(() => (this.#renewal = null));
    return this.#renewal;
  }

  async #renew() {
    const old = this.refreshToken;
    if (!old) return false;
    const answer = await fetch("/api/v1/auth/refresh", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ refresh_token: old }),
    });
    if (!answer.ok) {
      // Another tab may have used the token up, and left the next one.
      return this.refreshToken !== null && this.refreshToken !== old;
    }
    const login = await answer.json();
    localStorage.setItem(TOKEN, login.access_token);
    localStorage.setItem(REFRESH, login.refresh_token);
    return true;
  }
}

export const session = new Session();

// Another tab logged out or in.
window.addEventListener("storage", (event) => {
  if (event.key !== TOKEN) return;
  if (event.newValue === null) session.end("You were logged out in another tab.");
  else if (event.oldValue === null) location.reload();
});
