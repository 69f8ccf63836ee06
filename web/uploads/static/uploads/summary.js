// What became of every file that the browser handed over: the lines' numbers add up to how many there were.
import { visible } from "../cohort/visible.js";

const MAX_NAMED = 200;
const count = (number, one, many = `${one}s`) => `${number.toLocaleString("en")} ${number === 1 ? one : many}`;

const SENT = (number) => `${count(number, "file")} sent.`;
const SKIPPED = (number) => `${count(number, "file")} skipped, because S3 holds an equal one.`;
const REFUSED = (number) => `${count(number, "file")} refused or left out:`;
const UNREADABLE = (number) => `${count(number, "file")} that the browser could not read in what you added. Not sent:`;
const OPEN = [
  ["asking", (number) => `${count(number, "file waits", "files wait")} for your answer.`],
  ["going", (number) => `${count(number, "file")} on the way.`],
  ["chosen", (number) => `${count(number, "file")} not begun: press Upload.`],
];

const element = (tag, text, className = "") => {
  const made = document.createElement(tag);
  made.textContent = text;
  made.className = className;
  return made;
};

// The lines of an account: [what, number, text, items that are named].
export const lines = (account) => [
  ["sent", account.sent, SENT(account.sent), []],
  ["skipped", account.skipped, SKIPPED(account.skipped), []],
  [
    "refused",
    account.refused.length,
    account.refused.length ? REFUSED(account.refused.length) : "0 files refused or left out.",
    account.refused,
  ],
  ...(account.unreadable.length
    ? [["unreadable", account.unreadable.length, UNREADABLE(account.unreadable.length), account.unreadable]]
    : []),
  ...OPEN.filter(([what]) => account[what]).map(([what, say]) => [what, account[what], say(account[what]), []]),
];

export class Summary {
  #root;
  #shown = "";

  constructor(root) {
    this.#root = root;
  }

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
    this.#root.querySelector("[data-added]").textContent = `Of ${count(account.added, "file")} that you added:`;
    const list = this.#root.querySelector("[data-lines]");
    // A screen reader is told at the end, and not of every file.
    list.setAttribute("aria-live", account.going ? "off" : "polite");
    list.replaceChildren(
      ...all.map(([what, number, text, items]) => {
        const line = element("li", text);
        line.dataset.account = what;
        line.dataset.number = number;
        if (items.length) line.append(this.#named(items));
        return line;
      }),
    );
  }

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
