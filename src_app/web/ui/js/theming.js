// Light or dark: as the system says, unless the user chose.

const root = document.documentElement;
const system = matchMedia("(prefers-color-scheme: dark)");
const listeners = new Set();

export const isDark = () => root.dataset.theme === "dark"; // set by theme.js before any of this

export const onThemeChange = (listener) => listeners.add(listener);

function show(theme) {
  root.dataset.theme = theme;
  listeners.forEach((listener) => listener());
}

export function toggleTheme() {
  show(isDark() ? "light" : "dark");
  localStorage.setItem("theme", root.dataset.theme);
}

system.addEventListener("change", ({ matches }) => {
  if (!localStorage.getItem("theme")) show(matches ? "dark" : "light");
});
