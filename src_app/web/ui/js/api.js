// The manager's API: JSON in, JSON out, problems as exceptions, events as callbacks.

import { session } from "./session.js";

const BASE = "/api/v1";

export class Problem extends Error {
  constructor(status, body) {
    super(body.detail ?? `The manager answered ${status}`);
    this.status = status;
    this.code = body.code ?? "error";
    this.fields = body.fields ?? {};
  }
}

export class Unreachable extends Error {
  constructor(cause) {
    super("The manager does not answer. Is it running, and are you connected to it?", { cause });
  }
}

export const isAbort = (error) => error?.name === "AbortError";

export const api = {
  get: (path, options) => call("GET", path, undefined, options),
  post: (path, body = {}, options) => call("POST", path, body, options),
  put: (path, body, options) => call("PUT", path, body, options),
  patch: (path, body, options) => call("PATCH", path, body, options),
  delete: (path, options) => call("DELETE", path, undefined, options),
};

async function call(method, path, body, options = {}) {
  const answer = await send(method, path, body, options);
  return answer.status === 204 ? null : answer.json();
}

async function send(method, path, body, { signal, anonymous = false } = {}) {
  let answer = await once(method, path, body, signal);
  if (answer.status === 401 && !anonymous) {
    if (await session.renew()) answer = await once(method, path, body, signal);
    if (answer.status === 401) session.expire();
  }
  if (answer.ok) return answer;
  throw new Problem(answer.status, await answer.json().catch(() => ({})));
}

async function once(method, path, body, signal) {
  const headers = {};
  if (session.token) headers.Authorization = `Bearer ${session.token}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  try {
    return await fetch(BASE + path, {
      method,
      headers,
      signal,
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    if (isAbort(error)) throw error;
    throw new Unreachable(error);
  }
}

// Calls back with each event's data until the stream ends. EventSource cannot send a token.
export async function events(path, onEvent, signal) {
  const answer = await send("GET", path, undefined, { signal });
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const line = block.split("\n").find((text) => text.startsWith("data: "));
      if (line) onEvent(JSON.parse(line.slice(6)));
    }
  }
}

export const query = (values) => {
  const told = Object.entries(values).filter(([, value]) => value !== "" && value != null);
  return told.length ? `?${new URLSearchParams(told)}` : "";
};
