// Many files: begun in groups, a few sent at the same time, finished in groups. Which of their requests goes next, schedule.js says.
import { Gathered } from "./gathered.js";
import { Exists, Forgotten } from "./sending.js";
import { toBase64 } from "./checksums.js";
import { AHEAD } from "./schedule.js";

// Files that are begun with one request: the most that the control plane takes. Large ones are few, for each of which it asks S3.
const BEGUN_AT_ONCE = 500;
const LARGE_AT_ONCE = 4;
const AT_ONCE = { small: BEGUN_AT_ONCE - LARGE_AT_ONCE, large: LARGE_AT_ONCE };
// Begun files that wait for their turn: with fewer, others are begun, so that none is missing while the control plane is asked.
const LEAST_READY = { small: 200, large: 2 };
const FINISH = { most: 500, wait: 1000, longest: 8000 };
const MAX_RESTARTS = 2;
/** @type {Size[]} */
const SIZES = ["small", "large"];

// Stopped by the person while something was being asked for it.
const STOPPED = new Set(["paused", "removed", "left"]);

/**
 * @typedef {object} QueueOptions
 * @property {Pick<UploadApi, "start" | "finish" | "remove">} api
 * @property {UploadFileSender} sender
 * @property {Pick<Bucket, "prepare" | "forget" | "head">} bucket
 * @property {Pick<FileChecksums, "of">} checksums
 * @property {(item: UploadItem) => void} tell
 * @property {number} largestSingle Bytes of the largest file that goes in one request.
 */
/** @typedef {"small" | "large"} Size */

// Tells by `tell(item)` whenever an item changed: item.state, item.message, item.sent (bytes).
// States: waiting, sending, finishing, complete, same, kept, asks, paused, failed, removed. `item.canRetry` tells of a failed one whether
// the same file may succeed when it is tried again as it is.
export class Queue {
  #api;
  #sender;
  #bucket;
  #checksums;
  #tell;
  #largestSingle;
  /** @type {Record<Size, UploadItem[]>} */
  #waiting = { small: [], large: [] };
  /** @type {Record<Size, BegunItem[]>} */
  #ready = { small: [], large: [] };
  // Files that still want slots, and all whose bytes are on the way.
  /** @type {Record<Size, number>} */
  #wanting = { small: 0, large: 0 };
  #active = 0;
  #isStarting = false;
  #isPaused = false;
  /** @type {Gathered<SentFile, EndedFile>} */
  #finished;

  /** @param {QueueOptions} options */
  constructor({ api, sender, bucket, checksums, tell, largestSingle }) {
    this.#api = api;
    this.#sender = sender;
    this.#bucket = bucket;
    this.#checksums = checksums;
    this.#tell = tell;
    this.#largestSingle = largestSingle;
    this.#finished = new Gathered((files) => api.finish(files), FINISH);
  }

  // Each item is {file, path, folder}, and gets state, message, sent and the rest here.
  /** @param {UploadItem[]} items */
  add(items) {
    // Of those that S3 has whole, only the control plane has to be told.
    const sent = items.filter((item) => item.proof);
    const fresh = items.filter((item) => !item.proof);
    for (const item of fresh) this.#reset(item);
    // While the control plane begins the files.
    if (fresh.length) this.#bucket.prepare();
    for (const item of fresh) this.#waiting[this.#sizeOf(item)].push(item);
    // Whoever has files sent while others are paused wants these sent.
    this.#isPaused = false;
    this.#pump();
    for (const item of sent) this.#tellAgain(/** @type {BegunItem} */ (item));
  }

  pauseAll() {
    this.#isPaused = true;
  }

  resumeAll() {
    this.#isPaused = false;
    this.#pump();
  }

  /** @param {UploadItem} item */
  pause(item) {
    if (!["waiting", "sending"].includes(item.state)) return;
    this.#drop(item);
    this.#set(item, "paused", "");
    item.stop?.abort();
  }

  /** @param {UploadItem} item */
  resume(item) {
    if (item.state === "paused" || item.state === "failed") this.add([item]);
  }

  // Give a file up. What S3 has of it is removed.
  /** @param {UploadItem} item */
  async remove(item) {
    if (["complete", "same", "kept", "removed"].includes(item.state)) return;
    this.#drop(item);
    this.#set(item, "removed", "");
    item.stop?.abort();
    if (item.started?.id) await this.#api.remove([item.started.id]);
  }

  // The person's answer about a file that is there already with other content.
  /** @param {UploadItem} item @param {boolean} replace */
  decide(item, replace) {
    if (item.state !== "asks") return;
    if (!replace) {
      this.#set(item, "kept", "You kept what was there.");
      if (item.started?.id) this.#api.remove([item.started.id]).catch(() => {});
      return;
    }
    item.replaces = item.existing?.etag;
    this.add([item]);
  }

  /** @param {UploadItem} item */
  #reset(item) {
    item.stop = new AbortController();
    item.started = null;
    item.sent = 0;
    item.restarts ??= 0;
    item.canRetry = true;
    this.#set(item, "waiting", "");
  }

  /** @param {UploadItem} item @param {UploadState} state @param {string} message */
  #set(item, state, message) {
    item.state = state;
    item.message = message;
    this.#tell(item);
  }

  /** @param {UploadItem} item */
  #drop(item) {
    const size = this.#sizeOf(item);
    for (const list of [this.#waiting[size], this.#ready[size]]) {
      const at = list.indexOf(item);
      if (at >= 0) list.splice(at, 1);
    }
  }

  #pump() {
    if (this.#isPaused) return;
    for (const size of SIZES) {
      while (this.#ready[size].length && this.#wanting[size] < AHEAD[size]) this.#run(this.#ready[size].splice(0, 1)[0], size);
    }
    if (!this.#isStarting && SIZES.some((size) => this.#isLacking(size))) this.#begin();
  }

  /** @param {Size} size */
  #isLacking(size) {
    return this.#waiting[size].length > 0 && this.#ready[size].length < LEAST_READY[size];
  }

  /** @param {UploadItem} item @returns {Size} */
  #sizeOf(item) {
    return item.file.size > this.#largestSingle ? "large" : "small";
  }

  // Of each size that lacks ready ones, the next files of one folder. Whatever was added first, neither size waits for all of the other.
  #take() {
    const lacking = SIZES.filter((size) => this.#isLacking(size));
    const { folder } = this.#waiting[lacking[0]][0];
    return lacking.flatMap((size) => {
      const waiting = this.#waiting[size];
      const other = waiting.findIndex((item) => item.folder !== folder);
      return waiting.splice(0, Math.min(AT_ONCE[size], other < 0 ? waiting.length : other));
    });
  }

  async #begin() {
    this.#isStarting = true;
    const items = this.#take();
    try {
      const files = items.map((item) => ({
        path: item.path,
        size: item.file.size,
        modified: item.file.lastModified,
        kind: item.file.type,
        replaces: item.replaces ?? "",
      }));
      const answers = await this.#api.start(items[0].folder, files);
      answers.forEach((answer, index) => this.#begun(items[index], answer));
    } catch (error) {
      for (const item of items) if (item.state === "waiting") this.#fail(item, error);
    } finally {
      this.#isStarting = false;
      this.#pump();
    }
  }

  /** @param {UploadItem} item @param {StartedFile} answer */
  #begun(item, answer) {
    item.started = answer;
    // Paused or given up while the control plane was asked.
    if ((item.state === "removed" || item.state === "left") && answer.id) this.#api.remove([answer.id]).catch(() => {});
    if (item.state !== "waiting") return;
    if (answer.status === "refused") this.#fail(item, Object.assign(new Error(answer.detail), { isFinal: !answer.can_retry }));
    else if (answer.status === "same") this.#set(item, "same", "Was there already");
    else if (answer.status === "exists") this.#compare(/** @type {BegunItem} */ (item), answer.existing);
    else this.#ready[this.#sizeOf(item)].push(/** @type {BegunItem} */ (item));
  }

  /** @param {BegunItem} item @param {Size} size */
  async #run(item, size) {
    const onTaken = once(() => {
      this.#wanting[size] -= 1;
      this.#pump();
    });
    const onSent = once(() => {
      this.#active -= 1;
      onTaken();
    });
    this.#wanting[size] += 1;
    this.#active += 1;
    /** @type {SendOptions} */
    const options = {
      signal: item.stop.signal,
      onTaken,
      watch: (message) => {
        if (item.state === "sending" || item.state === "finishing") this.#set(item, item.state, message);
      },
      onProgress: (bytes) => {
        item.sent = bytes;
        this.#tell(item);
      },
    };
    this.#set(item, "sending", item.started.is_resumed ? "Going on where it stopped" : "");
    try {
      const sent = await this.#sender.send(item, options);
      onSent();
      this.#set(item, "finishing", "");
      item.proof = await this.#sender.complete(item, sent, options);
      await this.#finish(item, item.proof);
    } catch (error) {
      await this.#failed(item, error);
    } finally {
      onSent();
    }
  }

  /** @param {BegunItem} item */
  async #tellAgain(item) {
    this.#set(item, "finishing", "");
    try {
      await this.#finish(item, /** @type {UploadProof} */ (item.proof));
    } catch (error) {
      await this.#failed(item, error);
    }
  }

  /** @param {BegunItem} item @param {UploadProof} proof */
  async #finish(item, { checksum, md5 = "", etag }) {
    const isLast = !this.#active && SIZES.every((size) => !this.#ready[size].length && !this.#waiting[size].length);
    const ended = await this.#finished.put({ id: idOf(item), checksum, md5, etag }, isLast);
    item.proof = null;
    if (item.state === "removed" || item.state === "left") return;
    if (ended.state === "complete") this.#set(item, "complete", "");
    else this.#fail(item, new Error(ended.detail));
  }

  /** @param {BegunItem} item @param {any} error */
  async #failed(item, error) {
    if (STOPPED.has(item.state)) return;
    if (error instanceof Exists) {
      await this.#compare(item, null);
    } else if (error instanceof Forgotten && (item.restarts ?? 0) < MAX_RESTARTS) {
      item.restarts = (item.restarts ?? 0) + 1;
      await this.#api.remove([idOf(item)]).catch(() => {});
      this.add([item]);
    } else {
      if (error.status === 401 || error.status === 403) this.#bucket.forget();
      this.#fail(item, error);
    }
  }

  // Whatever went wrong with this one, the others go on.
  /** @param {UploadItem} item @param {any} error */
  #fail(item, error) {
    item.canRetry = !error.isFinal;
    item.isSignedOut = error.status === 401 && error.name === "Refused";
    this.#set(item, "failed", explain(error));
  }

  // What is there has this name: the same content is skipped, other content is asked about.
  /** @param {BegunItem} item @param {ExistingFile | null} given */
  async #compare(item, given) {
    try {
      this.#set(item, item.state, "Comparing with what is there");
      const found = given ?? (await this.#found(item));
      if (!found) throw new Error("What was there a moment ago is gone. Try again.");
      item.existing = found;
      const isSame = await this.#isSame(item, found);
      if (STOPPED.has(item.state)) return;
      if (isSame) await this.#skip(item, found);
      else this.#set(item, "asks", `There is a file of this name already, ${differenceOf(item, found)}.`);
    } catch (error) {
      if (!STOPPED.has(item.state)) this.#fail(item, error);
    }
  }

  /** @param {UploadItem} item @param {ExistingFile} found */
  async #isSame(item, found) {
    if (found.size !== item.file.size || !found.checksum) return false;
    return toBase64(await this.#checksums.of(item.file)) === found.checksum;
  }

  // S3 holds the same content.
  /** @param {BegunItem} item @param {ExistingFile} found */
  async #skip(item, found) {
    if (item.started.id) {
      await this.#finish(item, { checksum: found.checksum, etag: found.etag });
      if (item.state !== "complete") return;
    }
    this.#set(item, "same", "Was there already");
  }

  /** @param {BegunItem} item @returns {Promise<ExistingFile | null>} */
  async #found(item) {
    const found = await this.#bucket.head(item.started.key);
    return found && { size: found.size, etag: found.etag ?? "", checksum: found.crc32 ?? "", modified: found.modified ?? "" };
  }
}

/** @param {() => void} work */
const once = (work) => {
  let isDone = false;
  return () => {
    if (isDone) return;
    isDone = true;
    work();
  };
};

// The row of a file that is sent; only one that is refused or there already has none.
/** @param {BegunItem} item */
const idOf = (item) => /** @type {number} */ (item.started.id);

/** @param {UploadItem} item @param {ExistingFile} found */
const differenceOf = (item, found) =>
  found.size === item.file.size && !found.checksum ? "of the same size, without a checksum to compare" : "with other content";

/** @param {any} error */
const explain = (error) => {
  if (error.name !== "S3Error") return error.message;
  switch (error.code) {
    case "AccessDenied":
      return "S3 refuses: your access to this folder has ended, or does not cover it. The file is not complete; ask your group's manager.";
    case "SignatureDoesNotMatch":
    case "InvalidAccessKeyId":
    case "InvalidToken":
      return "S3 does not accept the credentials. The file is not complete; try it again, with new ones.";
    default:
      return `${error.message} (${error.code}). The file is not complete; try it again.`;
  }
};
