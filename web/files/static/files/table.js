// The rows on show: one page of the folder, as a table that screen readers read as one.
import { el, icon, time } from "./dom.js";
import { ago, kindOf, size } from "./format.js";
import { labelOf } from "./listing_store.js";

/** @param {string} label @param {string} className @param {(Node | string | null)[]} children */
const cell = (label, className, ...children) => el("td", { role: "cell", className, data: { label } }, ...children);

/**
 * @typedef {object} TableActions
 * @property {(row: Row) => string} address
 * @property {(row: Row) => void} open
 * @property {(row: Row) => void} download
 * @property {(name: string, is: boolean, isRange: boolean) => void} choose
 * @property {(name: string) => boolean} isChosen
 */

export class Table {
  #body;
  #actions;
  #shown = "";

  /** @param {HTMLTableSectionElement} body @param {TableActions} actions */
  constructor(body, actions) {
    this.#body = body;
    this.#actions = actions;
  }

  // Draw these rows, unless they stand there already. Focus stays with the row that has it.
  /** @param {Row[]} rows */
  draw(rows) {
    const state = rows.map((row) => `${row.name}\0${row.size}\0${row.time}`).join("\n");
    if (state !== this.#shown) {
      this.#shown = state;
      const active = /** @type {HTMLElement | null} */ (document.activeElement);
      const focused = this.#body.contains(active) ? active : null;
      const [name, part] = [focused?.closest("tr")?.dataset.name, focused?.dataset.part];
      this.#body.replaceChildren(...rows.map((row) => this.#row(row)));
      if (focused) this.focus(name, part);
    }
    this.mark();
  }

  // Show which rows are chosen.
  mark() {
    for (const row of this.#body.rows) {
      const is = this.#actions.isChosen(row.dataset.name ?? "");
      const box = row.querySelector("input");
      if (box) box.checked = is;
      row.classList.toggle("table-active", is);
    }
  }

  /** @param {string | undefined} name @param {string} [part] */
  focus(name, part = "open") {
    const row = [...this.#body.rows].find((one) => one.dataset.name === name);
    /** @type {HTMLElement | null | undefined} */
    const target = row?.querySelector(`[data-part="${part}"]`);
    target?.focus();
  }

  /** @param {Row} row */
  #row(row) {
    const act = this.#actions;
    const label = labelOf(row);
    // A marker comes and goes with its folder.
    const box = row.isMarker
      ? null
      : el("input", {
          type: "checkbox",
          className: "form-check-input",
          "aria-label": `Choose ${label}`,
          data: { part: "choose" },
          on: { change: (/** @type {any} */ event) => act.choose(row.name, event.target.checked, event.shiftKey) },
        });
    return el(
      "tr",
      { role: "row", data: { name: row.name } },
      cell("", "files-choose", box),
      el(
        "th",
        { role: "rowheader", scope: "row", className: "files-name" },
        row.isFolder ? this.#folder(row, label) : this.#file(row, label),
      ),
      row.isFolder
        ? cell("Size", "files-size", "folder")
        : cell("Size", "files-size", el("span", { title: `${row.size} bytes`, textContent: size(row.size) })),
      row.isFolder ? cell("Changed", "files-date") : cell("Changed", "files-date", time(row.time, ago(row.time))),
      cell(
        "",
        "files-do",
        row.isFolder
          ? null
          : el("button", {
              type: "button",
              className: "btn btn-sm btn-outline-secondary",
              textContent: "Download",
              "aria-label": `Download ${label}`,
              data: { part: "download" },
              on: { click: () => act.download(row) },
            }),
      ),
    );
  }

  /** @param {Row} row @param {string} label */
  #folder(row, label) {
    /** @param {MouseEvent} event */
    const follow = (event) => {
      // A new tab or window is the browser's own affair.
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      this.#actions.open(row);
    };
    return el(
      "a",
      { href: this.#actions.address(row), "aria-label": `${label}, folder`, data: { part: "open" }, on: { click: follow } },
      icon("folder"),
      el("span", { textContent: label }),
    );
  }

  /** @param {FileRow} row @param {string} label */
  #file(row, label) {
    return el(
      "button",
      {
        type: "button",
        className: "btn btn-link",
        data: { part: "open" },
        on: { click: () => this.#actions.open(row) },
      },
      icon(kindOf(row.name)),
      el("span", { textContent: label }),
    );
  }
}
