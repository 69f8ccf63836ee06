// Sends files to S3, and keeps what became of each. It knows no page: whoever shows files listens to what it tells.
import { Batch, isBusy } from "./batch.js";
import { Concurrency } from "./concurrency.js";
import { Queue } from "./queue.js";
import { FileSender } from "./sending.js";
import { Speed } from "./speed.js";

/**
 * @typedef {object} SenderOptions
 * @property {Pick<UploadApi, "start" | "finish" | "remove">} api
 * @property {Pick<Bucket, "prepare" | "put" | "list" | "parts" | "complete" | "head" | "forget">} bucket
 * @property {FileChecksums} checksums
 * @property {{ largestSingle: number }} limits Bytes of the largest file that goes in one request.
 * @property {UploadConcurrency} [concurrency]
 */

/**
 * What is told, and with what.
 * @typedef {object} SenderEvents
 * @property {UploadItem} changed Its state, or what is said of it.
 * @property {UploadItem} progress More of its bytes have left.
 * @property {UploadItem} complete
 * @property {UploadItem} asks The person has to decide about it: `answer`.
 * @property {UploadItem} failed
 * @property {UploadItem} replaced A file of the same name was added after it: nothing is to be shown of it any more.
 * @property {null} idle Nothing is under way any more.
 */

/** @type {ReadonlySet<UploadState>} */
const TOLD_ALONE = new Set(["complete", "asks", "failed"]);

// Listeners are called one after the other while it happens; what one of them throws stops neither the others nor the files.
export class Sender extends EventTarget {
  // What was handed over, and the account of it.
  batch;
  #queue;
  /** @type {Set<UploadItem>} */
  #busy = new Set();
  #speed = new Speed();
  // When anything of a file last moved, in milliseconds.
  #movedAt = 0;

  /** @param {SenderOptions} options */
  constructor({ api, bucket, checksums, limits, concurrency = new Concurrency() }) {
    super();
    const sender = new FileSender({ bucket, checksums, concurrency });
    /** @param {UploadItem} item */
    const tell = (item) => this.#told(item);
    const { largestSingle } = limits;
    this.#queue = new Queue({ api, sender, bucket, checksums, tell, largestSingle });
    this.batch = new Batch({ queue: this.#queue, onReplaced: (item) => this.#emit("replaced", item) });
  }

  /**
   * @template {keyof SenderEvents} Name
   * @param {Name} name
   * @param {(detail: SenderEvents[Name]) => void} listener
   * @param {AddEventListenerOptions} [options]
   */
  on(name, listener, options) {
    this.addEventListener(name, (event) => listener(/** @type {CustomEvent<SenderEvents[Name]>} */ (event).detail), options);
  }

  // Send these files. Gives their items, without those of which one of their name is on its way.
  /** @param {{ file: File, path: string, folder: string }[]} files */
  add(files) {
    const taken = files.map(({ file, path, folder }) => this.batch.take(file, path, folder));
    this.start();
    return taken.filter((item) => item !== null);
  }

  // Send what was handed over to `batch` and not begun yet. Gives those items.
  start() {
    return this.batch.start();
  }

  // Stop one file, or all of them, until they are resumed. What S3 has of them stays there.
  /** @param {UploadItem} [item] */
  stop(item) {
    if (!item) this.#queue.pauseAll();
    for (const one of item ? [item] : this.batch.items()) this.#queue.pause(one);
  }

  /** @param {UploadItem} [item] */
  resume(item) {
    if (!item) this.#queue.resumeAll();
    const stopped = [...this.batch.items()].filter(({ state }) => state === "paused");
    for (const one of item ? [item] : stopped) this.#queue.resume(one);
  }

  // Take a file out. What S3 has of it, unless it is complete, is removed.
  /** @param {UploadItem} item */
  async forget(item) {
    if (this.batch.get(item.id) === item) await this.batch.remove(item.id);
  }

  // The person's answer about a file that is there already with other content.
  /** @param {UploadItem} item @param {boolean} replace */
  answer(item, replace) {
    this.#queue.decide(item, replace);
  }

  /** @param {UploadItem} item */
  again(item) {
    this.batch.again(item);
  }
  retryAll() {
    this.batch.retryAll();
  }

  // Whether this sender is at work on the upload of this number.
  /** @param {number} id */
  sends(id) {
    return [...this.batch.items()].some((item) => item.started?.id === id && item.state !== "failed" && item.state !== "asks");
  }

  // Bytes that leave in a second, as of `now` (milliseconds); 0 where nothing is under way.
  /** @param {number} now */
  rate(now) {
    if (!this.batch.isBusy()) {
      this.#speed.stop();
      return 0;
    }
    let bytes = 0;
    for (const item of this.batch.items()) bytes += item.sent ?? 0;
    return this.#speed.take(bytes, now);
  }

  // Seconds for which nothing of the files that are being sent has moved, as of `now` (milliseconds).
  /** @param {number} now */
  stillFor(now) {
    const isSending = [...this.#busy].some((item) => item.state === "sending");
    return isSending ? (now - this.#movedAt) / 1000 : 0;
  }

  /** @param {UploadItem} item */
  #told(item) {
    this.#movedAt = performance.now();
    const { lastState, lastMessage } = item;
    item.lastState = item.state;
    item.lastMessage = item.message;
    if (lastState === item.state && lastMessage === item.message) {
      this.#emit("progress", item);
      return;
    }
    this.#emit("changed", item);
    if (lastState !== item.state) this.#entered(item);
  }

  /** @param {UploadItem} item */
  #entered(item) {
    const { state } = item;
    if (TOLD_ALONE.has(state)) this.#emit(/** @type {"complete" | "asks" | "failed"} */ (state), item);
    if (isBusy(item)) this.#busy.add(item);
    else if (this.#busy.delete(item) && !this.#busy.size) this.#emit("idle", null);
  }

  /** @template {keyof SenderEvents} Name @param {Name} name @param {SenderEvents[Name]} detail */
  #emit(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}
