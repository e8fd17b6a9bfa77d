// Small pieces of page that several views use.

import { html, nothing, svg } from "../vendor/lit-html/lit-html.js";
import { isFinal } from "./operations.js";
import { doing } from "./format.js";

export const icon = (name) =>
  html`<svg class="icon" aria-hidden="true"><use href="#icon-${name}"></use></svg>`;

// A sign for an app that needs no font with pictures: its initial, in a colour of its own.
export const appIcon = (name, size = "") => {
  const hue = [...name].reduce((sum, letter) => (sum * 31 + letter.codePointAt(0)) % 360, 7);
  return html`<span class="app-icon ${size}" style="--hue: ${hue}" aria-hidden="true">${name.slice(0, 1).toUpperCase()}</span>`;
};

export const heading = (title, text, actions = nothing) => html`
  <header class="view-head">
    <div>
      <h1>${title}</h1>
      <p class="muted">${text}</p>
    </div>
    <div class="view-actions">${actions}</div>
  </header>
`;

export const empty = (name, title, text, action = nothing) => html`
  <div class="empty" data-testid="empty">
    <span class="empty-icon">${icon(name)}</span>
    <h2>${title}</h2>
    <p class="muted">${text}</p>
    ${action}
  </div>
`;

export const failure = (error, retry) => html`
  <div class="empty failure" role="alert" data-testid="view-error">
    <span class="empty-icon">${icon("warn")}</span>
    <h2>This could not be loaded</h2>
    <p>${error.message}</p>
    <button class="button" type="button" data-action="retry" @click=${retry}>
      ${icon("restart")} Try again
    </button>
  </div>
`;

export const skeleton = (count = 3) => html`
  <div class="grid" aria-hidden="true">
    ${Array.from({ length: count }, () => html`<div class="card skeleton"></div>`)}
  </div>
`;

export const statusBadge = (status) =>
  html`<span class="status-badge status-${status}" data-testid="app-status">${status}</span>`;

export const meter = (label, value, text) => {
  const shown = Math.max(0, Math.min(100, value || 0));
  const level = shown > 90 ? "high" : shown > 70 ? "warm" : "ok";
  return html`
    <div class="meter">
      <span class="meter-label">${label}</span>
      <span
        class="meter-track level-${level}"
        role="meter"
        aria-label=${label}
        aria-valuemin="0"
        aria-valuemax="100"
        aria-valuenow=${Math.round(shown)}
        aria-valuetext=${text}
        ><span class="meter-fill" style="inline-size: ${shown}%"></span
      ></span>
      <span class="meter-text">${text}</span>
    </div>
  `;
};

export const problemText = (error) =>
  error ? html`<p class="form-error" role="alert" data-testid="form-error">${error.message}</p>` : nothing;

export const fieldError = (error, name) =>
  error?.fields?.[name] ? html`<span class="field-error">${error.fields[name]}</span>` : nothing;

// --- operations -----------------------------------------------------------------------------

// Each step as complete, active, failed or still to come.
export function stepStates(operation) {
  const { steps = [], status, step } = operation;
  const at = steps.indexOf(step);
  return steps.map((title, index) => {
    if (status === "succeeded") return { title, state: "complete" };
    if (index < at) return { title, state: "complete" };
    if (index > at) return { title, state: "waiting" };
    return { title, state: isFinal(operation) || operation.error ? "failed" : "active" };
  });
}

const MARKS = { complete: "check", active: "restart", failed: "close", waiting: "more" };
const SAID = { complete: "done", active: "in progress", failed: "failed", waiting: "to come" };

export const progress = (operation) => html`
  <div class="progress" data-testid="operation" data-status=${operation.status}>
    <progress id="progressBar" max="100" .value=${operation.percent} aria-label="Progress"></progress>
    <p id="progressMessage" role="status">${progressText(operation)}</p>
    <ol id="progressSteps" class="progress-steps">
      ${stepStates(operation).map(
        ({ title, state }) => html`
          <li class="progress-step ${state}" data-state=${state}>
            ${icon(MARKS[state])}<span>${title}</span><span class="sr-only">, ${SAID[state]}</span>
          </li>
        `,
      )}
    </ol>
    <details class="log">
      <summary>Log (${operation.log.length} lines)</summary>
      <pre data-testid="operation-log" tabindex="0">${operation.log.join("\n")}</pre>
    </details>
  </div>
`;

const ENDED = {
  succeeded: "Done.",
  failed: "It failed, and could not be undone completely.",
  rolled_back: "It failed, and was undone.",
  cancelled: "It was cancelled, and undone.",
};

export function progressText(operation) {
  if (ENDED[operation.status]) return ENDED[operation.status];
  if (operation.status === "queued") return "Waiting for its turn…";
  if (operation.error) return "Something failed: undoing it…";
  return `${operation.step || doing(operation)}…`;
}

// --- charts ---------------------------------------------------------------------------------

const WIDTH = 320;
const HEIGHT = 96;

// One line over time. points: [{time, value}]; gaps where Proxmox measured nothing.
export function chart({ label, points, format, max }) {
  const found = points.filter(({ value }) => Number.isFinite(value));
  const last = found.at(-1)?.value;
  const top = max ?? (Math.max(0, ...found.map(({ value }) => value)) * 1.15 || 1);
  return html`
    <figure class="card chart" data-testid="chart" data-points=${found.length}>
      <figcaption>
        <span>${label}</span><strong>${found.length ? format(last) : "no data yet"}</strong>
      </figcaption>
      <svg viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" role="img"
        aria-label="${label}: ${found.length ? `${format(last)} now, ${found.length} measurements` : "no data yet"}">
        ${[0.25, 0.5, 0.75].map((part) => svg`<line class="chart-grid" x1="0" x2=${WIDTH} y1=${HEIGHT * part} y2=${HEIGHT * part}></line>`)}
        ${found.length > 1 ? line(found, top) : nothing}
      </svg>
      <div class="chart-axis muted"><span>${first(found)}</span><span>${format(top)} at most</span></div>
    </figure>
  `;
}

function line(points, top) {
  const from = points[0].time;
  const span = points.at(-1).time - from || 1;
  const at = ({ time, value }) =>
    `${(((time - from) / span) * WIDTH).toFixed(1)} ${(HEIGHT - 2 - (value / top) * (HEIGHT - 6)).toFixed(1)}`;
  const path = points.map(at).join(" L ");
  return svg`
    <path class="chart-area" d="M 0 ${HEIGHT} L ${path} L ${WIDTH} ${HEIGHT} Z"></path>
    <path class="chart-line" d="M ${path}"></path>
  `;
}

const CLOCK = new Intl.DateTimeFormat(undefined, { dateStyle: "short", timeStyle: "short" });

const first = (points) => (points.length ? `since ${CLOCK.format(points[0].time * 1000)}` : "");
