// A file's first look, in a panel beside the list; the arrow keys go to the next and the previous one.
import { contentOf } from "./content.js";
import { el, time } from "./dom.js";
import { ago, size } from "./format.js";
import { labelOf } from "./listing_store.js";

/**
 * @typedef {object} PreviewActions
 * @property {number} mostBytes
 * @property {(row: FileRow) => FileSource} sourceOf
 * @property {(row: FileRow, step: number) => FileRow | null} find
 * @property {(row: FileRow) => void} download
 * @property {(row: FileRow | null) => void} closed
 */

export class Preview {
  #dialog;
  #find;
  #sourceOf;
  #download;
  #mostBytes;
  /** @type {FileRow | null} */
  #row = null;
  #stop = new AbortController();

  // find(step) gives the file that many before or after the one on show, or null.
  /** @param {HTMLDialogElement} dialog @param {PreviewActions} actions */
  constructor(dialog, { mostBytes, sourceOf, find, download, closed }) {
    this.#dialog = dialog;
    this.#mostBytes = mostBytes;
    this.#sourceOf = sourceOf;
    this.#find = find;
    this.#download = download;
    this.#part("close").addEventListener("click", () => dialog.close());
    this.#part("previous").addEventListener("click", () => this.#go(-1));
    this.#part("next").addEventListener("click", () => this.#go(1));
    this.#part("download").addEventListener("click", () => this.#row && this.#download(this.#row));
    dialog.addEventListener("keydown", (event) => this.#key(event));
    dialog.addEventListener("close", () => {
      this.#stop.abort();
      // A video goes on playing in a closed panel.
      this.#part("content").replaceChildren();
      closed(this.#row);
    });
  }

  /** @param {FileRow} row */
  async open(row) {
    this.#row = row;
    this.#stop.abort();
    this.#stop = new AbortController();
    const { signal } = this.#stop;
    if (!this.#dialog.open) this.#dialog.showModal();
    this.#part("name").textContent = labelOf(row);
    this.#part("facts").replaceChildren(`${size(row.size)}, changed `, time(row.time, ago(row.time)));
    this.#part("previous").disabled = !this.#find(row, -1);
    this.#part("next").disabled = !this.#find(row, 1);
    const content = this.#part("content");
    content.replaceChildren(el("p", { className: "text-body-secondary", role: "status", textContent: "Loading…" }));
    const source = this.#sourceOf(row);
    try {
      const parts = await contentOf(source, row, signal, this.#mostBytes);
      if (!signal.aborted) content.replaceChildren(...parts);
    } catch (error) {
      // Where S3 does not tell, it is not called gone.
      const isGone = await source.isMissing(error).catch(() => false);
      if (!signal.aborted) content.replaceChildren(this.#failed(error, row, isGone));
    }
  }

  /** @param {any} error @param {FileRow} row @param {boolean} isGone */
  #failed(error, row, isGone) {
    const says = isGone ? "The file is not there any more." : `It could not be read. ${error.message}`;
    const again = el("button", {
      type: "button",
      className: "btn btn-sm btn-outline-secondary ms-2",
      textContent: "Try again",
      on: { click: () => this.open(row) },
    });
    return el("div", { className: "alert alert-danger", role: "alert" }, says, again);
  }

  /** @param {number} step */
  #go(step) {
    const row = this.#row && this.#find(this.#row, step);
    if (row) this.open(row);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    // In a text they scroll, in a video they wind.
    const target = /** @type {Element} */ (event.target);
    if (target.closest("video, audio, pre, .table-responsive") || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "ArrowLeft") this.#go(-1);
    if (event.key === "ArrowRight") this.#go(1);
  }

  /** @param {string} name @returns {HTMLButtonElement} */
  #part(name) {
    return /** @type {HTMLButtonElement} */ (this.#dialog.querySelector(`[data-part="${name}"]`));
  }
}
