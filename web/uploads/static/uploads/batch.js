// The files that were handed over, each with what became of it. Whoever shows them goes by this, and by nothing that Uppy keeps.

const BUSY = new Set(["waiting", "sending", "finishing", "paused"]);
// What needs nothing more: sent, there already, answered with "keep", given up, or not readable.
const DONE = new Set(["complete", "same", "kept", "left", "unreadable"]);
const ANOTHER = "You added another file of this name after it. That one is sent instead.";
const AGAIN = "You added it again.";
const TAKEN_OUT = "You took it out of the list.";
const LEFT_OUT = "You left it out.";
const BEING_SENT = "A file of this name is being sent to this folder already. Add this one again when that one is done.";

/** @param {{ state: UploadState }} item */
export const isBusy = (item) => BUSY.has(item.state);

// The path below the chosen folder. Browsers give a chosen folder's files a path in which a backslash of the name became a slash:
// the name itself still has it.
/** @param {string} name @param {string | null} [relativePath] */
export const pathOf = (name, relativePath) => {
  const path = (relativePath || name).replace(/^\//, "");
  const changed = `/${name.replaceAll("\\", "/")}`;
  return name.includes("\\") && path.endsWith(changed) ? path.slice(0, path.length - name.length) + name : path;
};

/** @param {string} text */
export const asFolder = (text) => (text.endsWith("/") ? text : `${text}/`);

// Each item is {id, file, path, folder, state, message, canRetry}; its id is the whole key below the group's folder, case and all.
// States are the queue's, and before and after it: chosen, left, unreadable.
export class Batch {
  #queue;
  #onReplaced;
  // What is in the list, by its id.
  /** @type {Map<string, UploadItem>} */
  #items = new Map();
  // Everything since the list was last empty, in its order.
  /** @type {HandedOver[]} */
  #all = [];
  #isClosed = false;

  // `onReplaced(item)`: the same name was added again, and nothing is to be shown of this one any more.
  /** @param {{ queue: Pick<UploadQueue, "add" | "remove">, onReplaced?: (item: UploadItem) => void }} options */
  constructor({ queue, onReplaced = () => {} }) {
    this.#queue = queue;
    this.#onReplaced = onReplaced;
  }

  /** @param {string} id */
  get(id) {
    return this.#items.get(id);
  }
  items() {
    return this.#items.values();
  }
  isBusy() {
    return [...this.#items.values()].some(isBusy);
  }
  chosen() {
    return [...this.#items.values()].filter((item) => item.state === "chosen");
  }

  // A file that was handed over. Gives its item, or null where one of its name is on its way.
  /** @param {File} file @param {string} path @param {string} folder @returns {UploadItem | null} */
  take(file, path, folder) {
    const item = this.#note({
      id: asFolder(folder) + path,
      file,
      path,
      folder: asFolder(folder),
      state: "chosen",
      message: "",
      canRetry: true,
    });
    const known = this.#items.get(item.id);
    if (known && isBusy(known)) {
      this.#end(item, "left", BEING_SENT);
      return null;
    }
    if (known) this.#replace(known);
    this.#items.set(item.id, item);
    return item;
  }

  // A file that was seen in a folder and that the browser cannot read.
  /** @param {string} path @param {string} message */
  takeUnreadable(path, message) {
    this.#note({ path, state: "unreadable", message });
  }

  // Send what was chosen. Gives those items.
  start() {
    const fresh = this.chosen();
    this.#queue.add(fresh);
    return fresh;
  }

  /** @param {UploadItem} item */
  again(item) {
    if (this.#items.get(item.id) !== item || !["failed", "asks"].includes(item.state)) return;
    item.restarts = 0;
    this.#queue.add([item]);
  }

  retryAll() {
    for (const item of this.#items.values()) if (item.state === "failed" && item.canRetry) this.again(item);
  }

  // Chosen files go to another folder than the one that was set when they were chosen. `moved(item, before)` is told of each.
  /** @param {string} folder @param {(item: UploadItem, before: string) => void} moved */
  moveChosen(folder, moved) {
    for (const item of this.chosen()) {
      const id = asFolder(folder) + item.path;
      const known = this.#items.get(id);
      if (known === item || (known && isBusy(known))) continue;
      if (known) this.#replace(known);
      const before = item.id;
      this.#items.delete(before);
      Object.assign(item, { id, folder: asFolder(folder) });
      this.#items.set(id, item);
      moved(item, before);
    }
  }

  // Taken out of the list, by whatever button. What S3 has of it is removed.
  /** @param {string} id */
  async remove(id) {
    const item = this.#items.get(id);
    if (!item) return;
    this.#items.delete(id);
    this.#isClosed = this.#items.size === 0;
    const isDone = DONE.has(item.state);
    const why = item.state === "asks" || item.state === "failed" ? `${LEFT_OUT} ${item.message}` : TAKEN_OUT;
    try {
      await this.#queue.remove(item);
    } finally {
      if (!isDone) this.#end(item, "left", why);
    }
  }

  // The person has seen how it ended: the list is empty again.
  close() {
    this.#items.clear();
    this.#isClosed = true;
  }

  // What became of everything: the numbers add up to `added`.
  /** @returns {UploadAccount} */
  account() {
    /** @type {UploadAccount} */
    const counts = { added: this.#all.length, sent: 0, skipped: 0, refused: [], unreadable: [], asking: 0, going: 0, chosen: 0 };
    for (const item of this.#all) {
      if (item.state === "complete") counts.sent += 1;
      else if (item.state === "same") counts.skipped += 1;
      else if (item.state === "unreadable") counts.unreadable.push(item);
      else if (item.state === "asks") counts.asking += 1;
      else if (item.state === "chosen") counts.chosen += 1;
      else if (isBusy(item)) counts.going += 1;
      else counts.refused.push(item);
    }
    return counts;
  }

  // Whole percents of what is sent or under way; below 100 as long as anything is.
  percent() {
    const begun = [...this.#items.values()].filter((item) => item.state !== "chosen");
    const counted = begun.filter((item) => item.state !== "failed" && item.state !== "asks");
    if (!counted.some(isBusy)) return begun.length ? 100 : 0;
    const size = counted.reduce((sum, item) => sum + item.file.size, 0);
    const sent = counted.reduce((sum, item) => sum + (isBusy(item) ? (item.sent ?? 0) : item.file.size), 0);
    return size ? Math.min(99, Math.floor((100 * sent) / size)) : 0;
  }

  /** @template {HandedOver} T @param {T} item */
  #note(item) {
    if (this.#isClosed) this.#all = [];
    this.#isClosed = false;
    this.#all.push(item);
    return item;
  }

  /** @param {UploadItem} known */
  #replace(known) {
    const isOver = DONE.has(known.state);
    if (!isOver) this.#end(known, "left", known.state === "chosen" ? ANOTHER : AGAIN);
    this.#onReplaced(known);
  }

  /** @param {HandedOver} item @param {UploadState} state @param {string} message */
  #end(item, state, message) {
    Object.assign(item, { state, message });
  }
}
