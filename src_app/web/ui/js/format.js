// Numbers and times as people read them.

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

export function bytes(count) {
  if (!Number.isFinite(count)) return "–";
  let unit = 0;
  let value = count;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value >= 100 || unit === 0 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`;
}

export const percent = (value) => (Number.isFinite(value) ? `${value.toFixed(value < 10 ? 1 : 0)} %` : "–");

export function duration(seconds) {
  if (!Number.isFinite(seconds)) return "–";
  const days = Math.floor(seconds / 86400);
  const hours = Math.floor((seconds % 86400) / 3600);
  const minutes = Math.floor((seconds % 3600) / 60);
  if (days) return `${days} d ${hours} h`;
  if (hours) return `${hours} h ${minutes} min`;
  return minutes ? `${minutes} min` : `${Math.round(seconds)} s`;
}

const TIME = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

// The manager's times are UTC, with or without saying so.
export const parseTime = (text) => new Date(/(Z|[+-]\d\d:\d\d)$/.test(text) ? text : `${text}Z`);

const HOUR = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });

// What happened today needs no date.
export function moment(text) {
  const when = parseTime(text);
  return when.toDateString() === new Date().toDateString() ? HOUR.format(when) : TIME.format(when);
}

export const time = (text) => (text ? TIME.format(parseTime(text)) : "–");

const KINDS = {
  deploy: "Deploying", start: "Starting", stop: "Stopping", restart: "Restarting",
  delete: "Deleting", clone: "Cloning", configure: "Changing", backup: "Backing up",
  restore: "Restoring", update: "Updating", rollback: "Rolling back", adopt: "Adopting",
  sync: "Looking at",
};

export const doing = (operation) => KINDS[operation.kind] ?? operation.kind;

export const plural = (count, one, many = `${one}s`) => `${count} ${count === 1 ? one : many}`;
