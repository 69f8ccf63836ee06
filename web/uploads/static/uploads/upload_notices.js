// What needs the person, in words, below the dashboard: files that are there already, and files that could not be sent.
import { visible } from "../cohort/visible.js";

const MAX_SHOWN = 50;

const element = (tag, className, text) => {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
};

const ANSWERS = [
  ["replace", "Replace it"],
  ["keep", "Keep what is there"],
];
const RETRY = ["retry", "Try again"];
const LEAVE = ["leave", "Leave it out"];

const buttonsOf = (item) => {
  if (item.state === "asks") return ANSWERS;
  return item.canRetry ? [RETRY, LEAVE] : [LEAVE];
};

export class UploadNotices {
  #root;
  #actions;
  #rows = new Map();
  #line;
  #list;
  #more;

  constructor(root, actions) {
    this.#root = root;
    this.#actions = actions;
    this.#line = root.querySelector("[data-line]");
    this.#list = root.querySelector("[data-list]");
    this.#more = root.querySelector("[data-more]");
    root.querySelector("[data-all]").addEventListener("click", ({ target }) => {
      const action = target.closest("button")?.dataset.action;
      if (action) for (const item of action === "retry" ? this.#retried() : this.#items("asks")) this.#actions[action](item);
    });
  }

  // One sentence about the whole.
  say(text) {
    this.#line.textContent = text;
  }

  // What is waited for, if anything is.
  line(items) {
    let waiting = "";
    for (const item of items) if (item.message && (item.state === "sending" || item.state === "finishing")) waiting = item.message;
    if (this.#line.textContent !== waiting) this.#line.textContent = waiting;
  }

  // Take away the row of an item.
  forget(item) {
    this.#rows.get(item)?.remove();
    if (this.#rows.delete(item)) this.#count();
  }

  // Show, change or take away the row of an item.
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

  #retried() {
    return this.#items("failed").filter((item) => item.canRetry);
  }

  #items(state) {
    return [...this.#rows.keys()].filter((item) => item.state === state);
  }

  #count() {
    const asks = this.#items("asks").length;
    const failed = this.#retried().length;
    if (!this.#list.childElementCount) for (const row of [...this.#rows.values()].slice(0, MAX_SHOWN)) this.#list.append(row);
    const hidden = this.#rows.size - this.#list.childElementCount;
    this.#more.textContent = hidden > 0 ? `and ${hidden} more` : "";
    this.#root.querySelector("[data-asks]").hidden = asks < 2;
    this.#root.querySelector("[data-failed]").hidden = failed < 2;
  }
}
