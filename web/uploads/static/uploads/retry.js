// Trying again: with growing waits, for as long as it makes sense.
import { FileChanged } from "./checksums.js";

const MAX_TRIES = 8;
const MAX_RENEWALS = 3;
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 30_000;

const SLOW = new Set([429, 500, 502, 503, 504]);
// Something else was done with this name at the same moment. S3 asks to send the file again (API reference, PutObject).
/** @param {{ code?: string }} error */
export const isConflict = (error) => error.code === "ConditionalRequestConflict";

// What tells that the connection is back: a page, a worker, or nothing.
const line = () => globalThis.window ?? globalThis.self ?? new EventTarget();

// Resolves after a while, or as soon as the connection is back.
/** @param {number} ms @param {AbortSignal} [signal] @returns {Promise<void>} */
const wait = (ms, signal) =>
  new Promise((resolve, reject) => {
    const connection = line();
    const end = () => {
      clearTimeout(timer);
      connection.removeEventListener("online", done);
      signal?.removeEventListener("abort", stop);
    };
    const done = () => {
      end();
      resolve();
    };
    const stop = () => {
      end();
      reject(new DOMException("Stopped.", "AbortError"));
    };
    const timer = setTimeout(done, ms);
    connection.addEventListener("online", done);
    signal?.addEventListener("abort", stop);
  });

/** @param {any} error */
const troubleOf = (error) => {
  if (error.isNotS3) return `${error.message} Sign in there if it asks you to; it is tried again by itself.`;
  if (error.isConnection) return "No connection. Waiting for it.";
  if (error.code === "BeingMadeReady") return `${error.message} Waiting for it.`;
  return `S3 is busy or has trouble (${error.code}). Trying again.`;
};

// What comes after each failure of one piece of work.
class Failures {
  #care;
  #number = 0;
  #answered = 0;
  #renewals = 0;

  /** @param {Care & Required<Pick<Care, "watch">>} care */
  constructor(care) {
    this.#care = { renew() {}, onSlow() {}, async checkFile() {}, goesElsewhere: () => false, conflicts: false, ...care };
  }

  // Wait until the work may be tried again; throws the error where that makes no sense.
  /** @param {any} error */
  async after(error) {
    if (error.name === "AbortError" || error instanceof FileChanged) throw error;
    // A file that changed looks to the browser like a lost connection.
    await this.#care.checkFile();
    if (this.#care.goesElsewhere(error)) return;
    this.#number += 1;
    if (error.isExpired && this.#renewals < MAX_RENEWALS) {
      this.#renewals += 1;
      this.#care.renew();
      return;
    }
    if (!this.#mayPass(error)) throw error;
    if (!isConflict(error)) this.#care.onSlow();
    const ms = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (this.#number - 1)) * (0.5 + Math.random() / 2);
    this.#care.watch(troubleOf(error));
    await wait(ms, this.#care.signal);
  }

  /** @param {any} error */
  #mayPass(error) {
    if (error.isConnection) return true;
    if (!SLOW.has(error.status) && !(this.#care.conflicts && isConflict(error))) return false;
    this.#answered += 1;
    return this.#answered < MAX_TRIES;
  }
}

// Do `work` until it succeeds. `watch` is told what is waited for; `renew` is called before a try after expired credentials.
// A lost connection is waited for without end; what S3 answers is tried MAX_TRIES times; a refusal is thrown at once. A conflict is
// one too, unless `conflicts` says that the same request may succeed after it.
/** @template T @param {() => Promise<T>} work @param {Care} care @returns {Promise<T>} */
export const persist = async (work, { watch = () => {}, ...care }) => {
  const failures = new Failures({ ...care, watch });
  for (;;) {
    try {
      const result = await work();
      watch("");
      return result;
    } catch (error) {
      await failures.after(error);
    }
  }
};
