// Light or dark: as the system says, unless the user chose.

const root = document.documentElement;
const system = matchMedia("(prefers-color-scheme: dark)");
const listeners = new Set();

export const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);

export const onThemeChange = (listener) => listeners.add(listener);

const changed = () => listeners.forEach((listener) => listener());

export function toggleTheme() {
  root.dataset.theme = isDark() ? "light" : "dark";
  localStorage.setItem("theme", root.dataset.theme);
  changed();
}

system.addEventListener("change", changed);
