// Runs before the first paint, so that nobody sees the other theme flash.
(() => {
  const chosen = localStorage.getItem("theme");
  const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  document.documentElement.dataset.theme =
    chosen === "light" || chosen === "dark" ? chosen : system;
})();
