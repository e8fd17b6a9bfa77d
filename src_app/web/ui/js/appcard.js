// The card of an app: how it is, what is done with it now, and what can be done.

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { api } from "./api.js";
import { attempt, confirm, OperationDialog, toast } from "./dialogs/dialog.js";
import { BackupsDialog } from "./dialogs/backups.js";
import { CloneDialog, ConfigDialog } from "./dialogs/change.js";
import { ConsoleDialog, LogsDialog, VolumesDialog } from "./dialogs/look.js";
import { RollbackDialog, UpdateDialog } from "./dialogs/update.js";
import { bytes, doing, percent, plural } from "./format.js";
import { operations } from "./operations.js";
import { appIcon, icon, meter, progressText, statusBadge } from "./parts.js";
import { go } from "./router.js";
import { session } from "./session.js";
import { store } from "./store.js";

const pathOf = (app) => `/apps/${encodeURIComponent(app.id)}`;

export const hasUpdate = (app) => Boolean(app.latest_version) && app.latest_version !== app.version;

const ACTIONS = {
  canvas: (app) => go("apps", { canvas: app.id }),
  "toggle-status": (app) => act(app, app.status === "running" ? "stop" : "start"),
  restart: (app) => act(app, "restart"),
  "open-external": (app) => window.open(app.url, "_blank", "noopener"),
  "view-logs": (app) => new LogsDialog(app).show(),
  console: (app) => new ConsoleDialog(app).show(),
  backups: (app) => new BackupsDialog(app).show(),
  update: (app) => new UpdateDialog(app).show(),
  rollback: (app) => new RollbackDialog(app).show(),
  volumes: (app) => new VolumesDialog(app).show(),
  monitoring: (app) => go("monitoring", { app: app.id }),
  clone: (app) => new CloneDialog(app).show(),
  "edit-config": (app) => new ConfigDialog(app).show(),
  delete: (app) => remove(app),
};

async function act(app, action) {
  await attempt(async () => {
    const operation = await store.accept(await api.post(`${pathOf(app)}/actions`, { action }));
    if (operation?.error) toast(`${app.hostname}: ${operation.error}`, "bad");
  });
}

async function remove(app) {
  const sure = await confirm({
    title: `Delete ${app.hostname}?`,
    text: `${app.name} and its container ${app.vmid ?? ""} are removed with all data. Backups stay, and can be restored.`,
    yes: "Delete",
    danger: true,
  });
  if (!sure) return;
  await attempt(async () => {
    const operation = await store.accept(await api.delete(pathOf(app)));
    if (operation?.status === "succeeded") toast(`${app.hostname} was deleted.`);
    else if (operation?.error) toast(`${app.hostname}: ${operation.error}`, "bad");
  });
}

async function explain(app) {
  await attempt(async () => {
    const { operations: found } = await api.get("/operations?per_page=100");
    const ended = found.find((operation) => operation.app_id === app.id && operation.error);
    if (ended) new OperationDialog(ended, `${doing(ended)} ${app.hostname}`).show();
    else new LogsDialog(app).show();
  });
}

// --- the page -------------------------------------------------------------------------------

export function appCard(app) {
  const operation = app.operation_id ? operations.get(app.operation_id) : null;
  const busy = Boolean(app.operation_id);
  return html`
    <article class="card app-card deployed" data-testid="app-card" data-app-id=${app.id}
      data-hostname=${app.hostname} data-status=${app.status} data-settled=${store.settled.get(app.id) ?? nothing} aria-busy=${busy}
      aria-label="${app.hostname}, ${app.name}">
      <header class="app-head">
        ${appIcon(app.name)}
        <div class="app-title">
          <h2 class="app-hostname">${app.hostname}</h2>
          <p class="muted"><span class="app-name">${app.name}</span> · ${app.node ?? "no node yet"}${app.vmid ? ` · ${app.vmid}` : ""}</p>
        </div>
        ${statusBadge(app.status)}
      </header>
      ${versions(app)} ${note(app, busy)} ${busy ? working(operation) : usage(app)}
      <footer class="app-actions">${mainActions(app, busy)}${menu(app, busy)}</footer>
    </article>
  `;
}

const versions = (app) => html`
  <p class="app-versions">
    <span class="muted">Version</span> <strong data-testid="app-version">${app.version}</strong>
    ${hasUpdate(app)
      ? html`<button class="tag update" type="button" data-action="update" ?disabled=${Boolean(app.operation_id)}
          @click=${() => ACTIONS.update(app)}>${icon("update")} Update to
          <span data-testid="available-version">${app.latest_version}</span></button>`
      : html`<span class="tag quiet">newest</span>`}
    ${app.adopted ? html`<span class="tag" data-testid="adopted">adopted</span>` : nothing}
  </p>
`;

const note = (app, busy) =>
  app.status_text && !busy
    ? html`<div class="note ${app.status === "running" ? "warm" : "bad"}" data-testid="app-note">
        ${icon("warn")}
        <div><p class="clamp" title=${app.status_text}>${app.status_text}</p>
          <button class="link" type="button" data-action="explain" @click=${() => explain(app)}>
            What happened?</button></div>
      </div>`
    : nothing;

const working = (operation) => html`
  <div class="app-working" data-testid="app-working">
    <progress max="100" .value=${operation?.percent ?? 0} aria-label="Progress"></progress>
    <p class="muted">${operation ? progressText(operation) : "Working…"}
      ${operation
        ? html`<button class="link" type="button" data-action="show-operation"
            @click=${() => new OperationDialog(operation, doing(operation)).show()}>Details</button>`
        : nothing}</p>
  </div>
`;

function usage(app) {
  const used = app.status === "running" ? store.usage.get(app.id) : null;
  if (!used) {
    return html`<p class="app-facts muted">${plural(app.cores, "core")} · ${bytes(app.memory_mib * 1048576)} memory · ${app.disk_gib} GiB disk</p>`;
  }
  return html`
    <div class="app-usage">
      ${meter("CPU", used.cpu_percent, `${percent(used.cpu_percent)} of ${plural(app.cores, "core")}`)}
      ${meter("RAM", used.memory_percent, `${bytes(used.memory_bytes)} of ${bytes(used.memory_total_bytes)}`)}
    </div>`;
}

const button = (app, action, label, sign, { disabled = false, className = "", title = "" } = {}) => html`
  <button class="button small ${className}" type="button" data-action=${action} ?disabled=${disabled}
    title=${title || nothing} @click=${() => ACTIONS[action](app)}>${icon(sign)} ${label}</button>
`;

function mainActions(app, busy) {
  const running = app.status === "running";
  const fixed = busy || !["running", "stopped"].includes(app.status);
  return html`
    ${button(app, "canvas", "Open", "open", { disabled: !running || busy, className: "primary" })}
    ${button(app, "toggle-status", running ? "Stop" : "Start", running ? "stop" : "play", { disabled: fixed })}
    <button class="icon-button" type="button" data-action="restart" aria-label="Restart" title="Restart"
      ?disabled=${fixed || !running} @click=${() => ACTIONS.restart(app)}>${icon("restart")}</button>
  `;
}

const item = (app, action, label, sign, { disabled = false, className = "" } = {}) => html`
  <li><button class="menu-item ${className}" type="button" data-action=${action} ?disabled=${disabled}
    @click=${(event) => choose(event, app, action)}>${icon(sign)} ${label}</button></li>
`;

function choose(event, app, action) {
  event.target.closest("details").open = false;
  event.target.closest("details").querySelector("summary").focus(); // where a dialog gives it back
  ACTIONS[action](app);
}

// Opens where there is more room, and is as high as there is room.
function place({ target }) {
  if (!target.open) return;
  const list = target.querySelector(".menu-list");
  const opener = target.querySelector("summary").getBoundingClientRect();
  const isNarrow = matchMedia("(width <= 900px)").matches; // there is a bar above and one below
  const above = opener.top - (isNarrow ? 64 : 14);
  const below = window.innerHeight - opener.bottom - (isNarrow ? 78 : 14);
  list.style.maxBlockSize = "";
  const isUp = below < list.offsetHeight && above > below;
  target.classList.toggle("up", isUp);
  list.style.maxBlockSize = `${Math.max(160, isUp ? above : below)}px`;
}

function menu(app, busy) {
  const running = app.status === "running";
  return html`
    <details class="menu" data-testid="app-menu" @toggle=${place}>
      <summary class="icon-button" aria-label="More for ${app.hostname}" title="More">${icon("more")}</summary>
      <ul class="menu-list">
        ${hasUpdate(app) ? nothing : item(app, "update", "Check for updates", "update", { disabled: busy })}
        ${app.previous_version ? item(app, "rollback", `Go back to ${app.previous_version}`, "rollback", { disabled: busy }) : nothing}
        ${item(app, "backups", "Backups", "backup")} ${item(app, "volumes", "Volumes", "volume", { disabled: !app.vmid })}
        ${item(app, "view-logs", "Log", "logs")} ${item(app, "console", "Console", "console", { disabled: !app.vmid })}
        ${item(app, "monitoring", "Monitoring", "chart")}
        ${item(app, "clone", "Clone", "clone", { disabled: busy, className: "pro-feature" })}
        ${item(app, "edit-config", "Resources", "edit", { disabled: busy, className: "pro-feature" })}
        ${link(app, running)} ${item(app, "delete", "Delete", "delete", { disabled: busy, className: "danger" })}
      </ul>
    </details>
  `;
}

const link = (app, running) =>
  app.url && running
    ? html`<li><a class="menu-item connection-link" data-action="open-external" href=${app.url}
        target="_blank" rel="noopener">${icon("external")} ${new URL(app.url).host}</a></li>`
    : nothing;

export const ownedBy = (app) => (session.isAdmin && app.owner !== session.user?.username ? app.owner : "");
