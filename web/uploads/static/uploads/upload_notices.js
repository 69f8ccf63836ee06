// What needs the person, in words, below the dashboard: files that are there already, and files that could not be sent.
import { visible } from "../cohort/visible.js";

const MAX_SHOWN = 50;
// A line that stands still for less is only slow.
const STILL_SECONDS = 10;

// In tens of seconds, so that a screen reader is not told of each.
/** @param {number} seconds */
const standsStill = (seconds) =>
  `Nothing has gone through for ${10 * Math.floor(seconds / 10)} seconds. It goes on by itself once the connection is back.`;

/**
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {string} className
 * @param {string} text
 * @returns {HTMLElementTagNameMap[K]}
 */
const element = (tag, className, text) => {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
};

/** @typedef {"replace" | "keep" | "retry" | "leave"} Action */

/** @type {[Action, string][]} */
const ANSWERS = [
  ["replace", "Replace it"],
  ["keep", "Keep what is there"],
];
/** @type {[Action, string]} */
const RETRY = ["retry", "Try again"];
/** @type {[Action, string]} */
const LEAVE = ["leave", "Leave it out"];

/** @param {UploadItem} item */
const buttonsOf = (item) => {
  if (item.state === "asks") return ANSWERS;
  return item.canRetry ? [RETRY, LEAVE] : [LEAVE];
};

export class UploadNotices {
  #root;
  #actions;
  /** @type {Map<UploadItem, HTMLElement>} */
  #rows = new Map();
  #line;
  #list;
  #more;

  /** @param {HTMLElement} root @param {Record<Action, (item: UploadItem) => void>} actions */
  constructor(root, actions) {
    this.#root = root;
    this.#actions = actions;
    this.#line = this.#part("line");
    this.#list = this.#part("list");
    this.#more = this.#part("more");
    this.#part("all").addEventListener("click", ({ target }) => {
      const button = /** @type {Element} */ (target).closest("button");
      const action = /** @type {Action | undefined} */ (button?.dataset.action);
      if (action) for (const item of action === "retry" ? this.#retried() : this.#items("asks")) this.#actions[action](item);
    });
  }

  // One sentence about the whole.
  /** @param {string} text */
  say(text) {
    this.#line.textContent = text;
  }

  // What is waited for, if anything is. `still`: seconds for which nothing has moved.
  /** @param {Iterable<UploadItem>} items @param {number} still */
  line(items, still) {
    let waiting = "";
    for (const item of items) if (item.message && (item.state === "sending" || item.state === "finishing")) waiting = item.message;
    if (!waiting && still >= STILL_SECONDS) waiting = standsStill(still);
    if (this.#line.textContent !== waiting) this.#line.textContent = waiting;
  }

  // Take away the row of an item.
  /** @param {UploadItem} item */
  forget(item) {
    this.#rows.get(item)?.remove();
    if (this.#rows.delete(item)) this.#count();
  }

  // Show, change or take away the row of an item.
  /** @param {UploadItem} item */
  about(item) {
    this.#rows.get(item)?.remove();
    this.#rows.delete(item);
    if (item.state === "asks" || item.state === "failed") {
      const row = this.#row(item);
      this.#rows.set(item, row);
      if (this.#list.childElementCount < MAX_SHOWN) this.#list.append(row);
    }
    this.#count();
  }

  /** @param {UploadItem} item */
  #row(item) {
    const isAsking = item.state === "asks";
    const row = element("li", "list-group-item d-flex flex-wrap align-items-center gap-2", "");
    const words = element("div", "flex-grow-1 text-break", "");
    words.append(
      element("strong", "", visible(item.path)),
      element("div", isAsking ? "" : "text-danger-emphasis", `${isAsking ? "?" : "✗"} ${item.message}`),
    );
    row.append(words);
    for (const [action, label] of buttonsOf(item)) {
      const button = element("button", "btn btn-sm btn-outline-secondary", label);
      button.type = "button";
      button.setAttribute("aria-label", `${label}: ${visible(item.path)}`);
      button.addEventListener("click", () => this.#actions[action](item));
      row.append(button);
    }
    return row;
  }

  /** @param {string} name */
  #part(name) {
    return /** @type {HTMLElement} */ (this.#root.querySelector(`[data-${name}]`));
  }

  #retried() {
    return this.#items("failed").filter((item) => item.canRetry);
  }

  /** @param {UploadState} state */
  #items(state) {
    return [...this.#rows.keys()].filter((item) => item.state === state);
  }

  #count() {
    const asks = this.#items("asks").length;
    const failed = this.#retried().length;
    if (!this.#list.childElementCount) for (const row of [...this.#rows.values()].slice(0, MAX_SHOWN)) this.#list.append(row);
    const hidden = this.#rows.size - this.#list.childElementCount;
    this.#more.textContent = hidden > 0 ? `and ${hidden} more` : "";
    this.#part("asks").hidden = asks < 2;
    this.#part("failed").hidden = failed < 2;
  }
}
