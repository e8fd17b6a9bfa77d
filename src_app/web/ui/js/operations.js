// Operations that go on: each is followed to its end, by events where a connection is to spare.

import { api, events, isAbort, Problem } from "./api.js";
import { session } from "./session.js";

const STREAMS = 3; // a browser opens six connections to a server: the others are for pages
const POLL_MS = 1000;
const FINAL = new Set(["succeeded", "failed", "rolled_back", "cancelled"]);

export const isFinal = (operation) => FINAL.has(operation.status);

class Operations extends EventTarget {
  known = new Map();
  #followed = new Map();
  #streams = 0;

  get(id) {
    return this.known.get(id);
  }

  // Begins to follow; a promise of the operation as it ended.
  follow(operation) {
    this.#learn(operation);
    if (isFinal(operation)) return Promise.resolve(operation);
    const { id } = operation;
    if (!this.#followed.has(id)) {
      const abort = new AbortController();
      const end = this.#toTheEnd(id, abort.signal).finally(() => this.#followed.delete(id));
      this.#followed.set(id, { abort, end });
    }
    return this.#followed.get(id).end;
  }

  async followId(id) {
    const operation = this.known.get(id) ?? (await api.get(`/operations/${id}`));
    return this.follow(operation);
  }

  cancel(id) {
    return api.post(`/operations/${id}/cancel`);
  }

  forget() {
    for (const { abort } of this.#followed.values()) abort.abort();
    this.#followed.clear();
    this.known.clear();
  }

  #learn(operation) {
    this.known.set(operation.id, operation);
    this.dispatchEvent(new CustomEvent("change", { detail: operation }));
  }

  async #toTheEnd(id, signal) {
    while (!isFinal(this.known.get(id))) {
      try {
        await this.#someTime(id, signal);
      } catch (error) {
        if (isAbort(error) || !session.isAuthenticated()) throw abandoned();
        if (error instanceof Problem && error.status < 500) throw error;
        await pause(POLL_MS, signal); // the manager or the network is away: ask again
      }
    }
    return this.known.get(id);
  }

  async #someTime(id, signal) {
    if (this.#streams < STREAMS) {
      this.#streams += 1;
      try {
        await events(`/operations/${id}/events`, (found) => this.#learn(found), signal);
      } finally {
        this.#streams -= 1;
      }
    } else {
      await pause(POLL_MS, signal);
      this.#learn(await api.get(`/operations/${id}`, { signal }));
    }
  }
}

const abandoned = () => new DOMException("no longer followed", "AbortError");

function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener(
      "abort",
      () => {
        clearTimeout(timer);
        reject(abandoned());
      },
      { once: true },
    );
  });
}

export const operations = new Operations();
