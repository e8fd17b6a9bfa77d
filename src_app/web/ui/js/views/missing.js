// An address that leads nowhere.

import { html } from "../../vendor/lit-html/lit-html.js";
import { empty } from "../parts.js";
import { View } from "./view.js";

export class MissingView extends View {
  constructor() {
    super("missing");
  }

  template() {
    return html`<h1 class="sr-only">No such page</h1>${empty("search", "There is no such page",
      `Nothing is at ${location.pathname}.`,
      html`<a class="button primary" href="/dashboard">Go to the dashboard</a>`)}`;
  }
}
