// Deleting what was chosen: how much it is, a question, the deed in batches, and the way back.
import { visible } from "../cohort/visible.js";
import { el } from "./dom.js";
import { plural, size } from "./format.js";
import { pages } from "./pages.js";

const MAX_TOLD = 10;
// Brought back one by one at S3, so each request is a few seconds' worth.
const MAX_BACK = 250;

/** @template T @param {T[]} list @param {number} most */
const batches = (list, most) =>
  Array.from({ length: Math.ceil(list.length / most) }, (_, index) => list.slice(index * most, (index + 1) * most));

/** @typedef {{ prefix: string, files: { name: string, size: number }[], folders: string[] }} Chosen */
/** @typedef {{ key: string, error: string }} Problem */
/**
 * @typedef {object} DeletingOptions
 * @property {Pick<FilesServer, "remove" | "restore">} server
 * @property {Pick<Bucket, "list">} bucket
 * @property {number} most
 * @property {(change: { gone?: Set<string> }) => void} changed
 */

export class Deleting {
  #dialog;
  #undo;
  #server;
  #bucket;
  #most;
  #changed;
  #stop = new AbortController();
  #isRunning = false;

  // changed({gone}) after deleting, with the names of `selection` that are wholly gone; changed({}) after undoing.
  /** @param {HTMLDialogElement} dialog @param {HTMLElement} undo @param {DeletingOptions} options */
  constructor(dialog, undo, { server, bucket, most, changed }) {
    this.#dialog = dialog;
    this.#undo = undo;
    this.#server = server;
    this.#bucket = bucket;
    this.#most = most;
    this.#changed = changed;
    this.#part("cancel").addEventListener("click", () => dialog.close());
    // Half-way there is nothing that closing would stop.
    dialog.addEventListener("cancel", (event) => {
      if (this.#isRunning) event.preventDefault();
    });
    dialog.addEventListener("close", () => this.#stop.abort());
    window.addEventListener("beforeunload", (event) => {
      if (this.#isRunning) event.preventDefault();
    });
  }

  // files: [{name, size}], folders: [name]; names are relative to `prefix`.
  /** @param {Chosen} chosen */
  async ask({ prefix, files, folders }) {
    this.#stop = new AbortController();
    const { signal } = this.#stop;
    const [line, go] = [this.#part("line"), this.#part("go")];
    this.#show({ title: "Delete?", go: "Delete", isReady: false });
    this.#part("progress").hidden = true;
    this.#part("problems").replaceChildren();
    this.#part("cancel").textContent = "Cancel";
    go.hidden = false;
    this.#dialog.showModal();
    try {
      const found = await this.#count(prefix, files, folders, signal, (keys, bytes) => {
        line.textContent = `Counting: ${plural(keys, "file")} so far, ${size(bytes)}…`;
      });
      this.#show({
        title: `Delete ${plural(found.keys.length, "file")}?`,
        go: `Delete ${plural(found.keys.length, "file")}`,
        isReady: true,
      });
      line.textContent = `${this.#what(files, folders)}: ${plural(found.keys.length, "file")}, ${size(found.bytes)} in all. You can undo it as long as you stay on this page.`;
      go.onclick = () => this.#run({ prefix, files, folders, keys: found.keys });
      go.focus();
    } catch (error) {
      if (!signal.aborted)
        line.textContent = `It could not be found out how much that is, so nothing was deleted. ${error.message}`;
    }
  }

  /**
   * @param {string} prefix
   * @param {Chosen["files"]} files
   * @param {string[]} folders
   * @param {AbortSignal} signal
   * @param {(keys: number, bytes: number) => void} tell
   */
  async #count(prefix, files, folders, signal, tell) {
    const keys = files.map(({ name }) => prefix + name);
    let bytes = files.reduce((sum, file) => sum + file.size, 0);
    for (const folder of folders) {
      for await (const page of pages(this.#bucket, { prefix: prefix + folder, delimiter: "", signal })) {
        for (const { key, size: length } of page.objects) {
          keys.push(key);
          bytes += length;
        }
        tell(keys.length, bytes);
      }
    }
    return { keys, bytes };
  }

  /** @param {Chosen & { keys: string[] }} chosen */
  async #run({ prefix, files, folders, keys }) {
    this.#isRunning = true;
    this.#part("cancel").disabled = this.#part("go").disabled = true;
    const { markers, problems } = await this.#deleteAll(keys);
    this.#isRunning = false;
    this.#part("cancel").disabled = false;
    const deleted = new Set(markers.map(({ key }) => key));
    this.#changed({
      gone: new Set([
        ...files.map(({ name }) => name).filter((name) => deleted.has(prefix + name)),
        ...(problems.length ? [] : folders),
      ]),
    });
    if (markers.length) this.#offer(markers);
    if (problems.length) this.#tell(problems, markers.length, prefix);
    else this.#dialog.close();
  }

  // What was deleted, and what was not.
  /** @param {string[]} keys */
  async #deleteAll(keys) {
    const progress = this.#part("progress");
    /** @type {[DeletionMarker[], Problem[]]} */
    const [markers, problems] = [[], []];
    let settled = 0;
    progress.hidden = false;
    progress.max = Math.max(1, keys.length);
    progress.value = 0;
    try {
      for (const batch of batches(keys, this.#most)) {
        const { items } = await this.#server.remove(batch);
        for (const { key, marker, error } of items) {
          if (error) problems.push({ key, error });
          else markers.push({ key, version: marker });
        }
        settled += batch.length;
        progress.value = settled;
        this.#part("line").textContent = `${plural(settled, "file")} of ${plural(keys.length, "file")}…`;
      }
    } catch (error) {
      const maybe =
        error.status === 0 || error.status >= 500 ? "It is not known whether these were deleted." : "These were not deleted.";
      problems.push({ key: plural(keys.length - settled, "further file"), error: `${error.message} ${maybe}` });
    }
    return { markers, problems };
  }

  /** @param {Problem[]} problems @param {number} done @param {string} prefix */
  #tell(problems, done, prefix) {
    this.#show({ title: "Not everything was deleted", go: "", isReady: false });
    this.#part("go").hidden = true;
    this.#part("cancel").textContent = "Close";
    this.#part("line").textContent = `${plural(done, "file")} deleted; these are as they were, unless it says otherwise:`;
    const shown = problems
      .slice(0, MAX_TOLD)
      .map(({ key, error }) =>
        el("li", { textContent: `${visible(key.startsWith(prefix) ? key.slice(prefix.length) : key)}: ${error}` }),
      );
    if (problems.length > MAX_TOLD)
      shown.push(el("li", { textContent: `and ${plural(problems.length - MAX_TOLD, "further one")}.` }));
    this.#part("problems").replaceChildren(...shown);
    this.#part("cancel").focus();
  }

  // A line that stays, with the way back.
  /** @param {DeletionMarker[]} markers */
  #offer(markers) {
    const items = markers.filter(({ version }) => version);
    const text = el("span", { textContent: `${plural(markers.length, "file")} deleted.` });
    const button = el("button", { type: "button", className: "btn btn-sm btn-outline-secondary", textContent: "Undo" });
    const line = el(
      "div",
      { className: "alert alert-success d-flex flex-wrap align-items-center gap-2 py-2 mb-2" },
      text,
      items.length ? button : "It cannot be undone here.",
    );
    button.addEventListener("click", () => this.#bringBack(items, text, button));
    this.#undo.append(line);
    // The rows that had the focus are gone.
    if (items.length) button.focus();
  }

  /** @param {DeletionMarker[]} items @param {HTMLElement} text @param {HTMLButtonElement} button */
  async #bringBack(items, text, button) {
    button.disabled = true;
    /** @type {(DeletionMarker & Problem)[]} */
    const left = [];
    let back = 0;
    try {
      for (const batch of batches(items, MAX_BACK)) {
        text.textContent = `Bringing back ${plural(back, "file")} of ${plural(items.length, "file")}…`;
        const failed = new Map(
          (await this.#server.restore(batch)).items.filter(({ error }) => error).map(({ key, error }) => [key, error]),
        );
        back += batch.length - failed.size;
        left.push(...batch.filter(({ key }) => failed.has(key)).map((item) => ({ ...item, error: failed.get(item.key) ?? "" })));
      }
      text.textContent = `${plural(back, "file")} brought back.${left.length ? ` ${plural(left.length, "file")} not: ${left[0].error}` : ""}`;
      button.hidden = true;
    } catch (error) {
      // Bringing back twice does no harm, so it may be tried again as often as wanted.
      text.textContent = `${plural(back, "file")} brought back, the others not yet: ${error.message}`;
      button.textContent = "Try again";
      button.disabled = false;
    }
    this.#changed({});
  }

  /** @param {Chosen["files"]} files @param {string[]} folders */
  #what(files, folders) {
    const parts = [];
    if (folders.length)
      parts.push(
        folders.length === 1
          ? `the folder ${visible(folders[0])} and all that is below it`
          : `${plural(folders.length, "folder")} and all that is below them`,
      );
    if (files.length) parts.push(files.length === 1 ? visible(files[0].name) : plural(files.length, "chosen file"));
    return parts.join(", and ").replace(/^t/, "T");
  }

  /** @param {{ title: string, go: string, isReady: boolean }} shown */
  #show({ title, go, isReady }) {
    this.#part("title").textContent = title;
    this.#part("go").textContent = go;
    this.#part("go").disabled = !isReady;
  }

  /** @param {string} name @returns {any} */
  #part(name) {
    return this.#dialog.querySelector(`[data-part="${name}"]`);
  }
}
