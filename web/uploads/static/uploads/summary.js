// What became of every file that the browser handed over: the lines' numbers add up to how many there were.
import { visible } from "../cohort/visible.js";

const MAX_NAMED = 200;
/** @param {number} number @param {string} one @param {string} [many] */
const count = (number, one, many = `${one}s`) => `${number.toLocaleString("en")} ${number === 1 ? one : many}`;

/** @param {number} number */
const SENT = (number) => `${count(number, "file")} sent.`;
/** @param {number} number */
const SKIPPED = (number) => `${count(number, "file")} skipped, because S3 holds an equal one.`;
/** @param {number} number */
const REFUSED = (number) => `${count(number, "file")} refused or left out:`;
/** @param {number} number */
const UNREADABLE = (number) => `${count(number, "file")} that the browser could not read in what you added. Not sent:`;
/** @type {["asking" | "going" | "chosen", (number: number) => string][]} */
const OPEN = [
  ["asking", (number) => `${count(number, "file waits", "files wait")} for your answer.`],
  ["going", (number) => `${count(number, "file")} on the way.`],
  ["chosen", (number) => `${count(number, "file")} not begun: press Upload.`],
];

/** @param {string} tag @param {string} text @param {string} [className] */
const element = (tag, text, className = "") => {
  const made = document.createElement(tag);
  made.textContent = text;
  made.className = className;
  return made;
};

// What is counted, its number, the text, and the items that are named.
/** @typedef {[string, number, string, HandedOver[]]} Line */
/** @param {UploadAccount} account @returns {Line[]} */
export const lines = (account) => {
  const { refused, unreadable } = account;
  /** @type {Line[]} */
  const all = [
    ["sent", account.sent, SENT(account.sent), []],
    ["skipped", account.skipped, SKIPPED(account.skipped), []],
    ["refused", refused.length, refused.length ? REFUSED(refused.length) : "0 files refused or left out.", refused],
  ];
  if (unreadable.length) all.push(["unreadable", unreadable.length, UNREADABLE(unreadable.length), unreadable]);
  for (const [what, say] of OPEN) if (account[what]) all.push([what, account[what], say(account[what]), []]);
  return all;
};

export class Summary {
  #root;
  #shown = "";

  /** @param {HTMLElement} root */
  constructor(root) {
    this.#root = root;
  }

  /** @param {UploadAccount} account */
  show(account) {
    const all = lines(account);
    // Before anything was begun there is nothing to account for.
    this.#root.hidden = account.added === account.chosen;
    const state = JSON.stringify([
      account.added,
      all.map(([what, number, , items]) => [what, number, items.slice(0, MAX_NAMED).map(({ path, message }) => [path, message])]),
    ]);
    if (state === this.#shown) return;
    this.#shown = state;
    this.#part("added").textContent = `Of ${count(account.added, "file")} that you added:`;
    const list = this.#part("lines");
    // A screen reader is told at the end, and not of every file.
    list.setAttribute("aria-live", account.going ? "off" : "polite");
    list.replaceChildren(
      ...all.map(([what, number, text, items]) => {
        const line = element("li", text);
        line.dataset.account = what;
        line.dataset.number = String(number);
        if (items.length) line.append(this.#named(items));
        return line;
      }),
    );
  }

  /** @param {string} name */
  #part(name) {
    return /** @type {HTMLElement} */ (this.#root.querySelector(`[data-${name}]`));
  }

  /** @param {HandedOver[]} items */
  #named(items) {
    const list = element("ul", "", "mb-0");
    list.tabIndex = 0;
    list.setAttribute("aria-label", "Their names");
    for (const { path, message } of items.slice(0, MAX_NAMED)) {
      const line = element("li", "", "text-break");
      line.append(element("strong", visible(path)), ` ${message}`);
      list.append(line);
    }
    if (items.length > MAX_NAMED) list.append(element("li", `and ${count(items.length - MAX_NAMED, "other")}`));
    return list;
  }
}
