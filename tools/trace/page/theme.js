/* Light or dark: as the system says, unless the reader chose. */

const THEMES = ["auto", "light", "dark"];

class Theme {
  constructor(onchange) {
    this.onchange = onchange;
    this.chosen = "auto";
    this.system = matchMedia("(prefers-color-scheme: dark)");
    this.system.addEventListener("change", () => this.#apply());
    byId("theme").addEventListener("click", () => this.next());
    this.#apply();
  }

  choose(theme) {
    if (!THEMES.includes(theme) || theme === this.chosen)
      return;
    this.chosen = theme;
    this.#apply();
  }

  next() {
    this.choose(THEMES[(THEMES.indexOf(this.chosen) + 1) % THEMES.length]);
    say(`theme: ${this.chosen}`);
  }

  get shown() {
    return this.chosen === "auto" ? (this.system.matches ? "dark" : "light") : this.chosen;
  }

  #apply() {
    document.documentElement.dataset.theme = this.shown;
    byId("theme").textContent = { auto: "◐", light: "☀", dark: "☾" }[this.chosen];
    byId("theme").setAttribute("aria-label", `Theme: ${this.chosen}`);
    this.onchange();
  }
}
