// The tabs of one person in one browser: together they send no more at the same time than one would, and slow down together.

const PREFIX = "cohort-sending/";
// A tab that was closed or broke down says nothing, but holds no lock any more.
const COUNT_EVERY_MS = 10_000;
// Between two files there may be a moment without any request.
const LINGER_MS = 2000;

/** @typedef {"counts" | "slows"} Said */
/**
 * What browsers have for it; either may be missing, where the page is not served securely or the browser is old.
 * @typedef {object} TabsOptions
 * @property {Pick<BroadcastChannel, "postMessage" | "addEventListener"> | null} [channel]
 * @property {Pick<LockManager, "request" | "query"> | null} [locks]
 * @property {() => number} [now] Milliseconds.
 */

export class Tabs {
  #channel;
  #locks;
  #now;
  #number = 1;
  #countedAt = -Infinity;
  // Lets go of this tab's lock, while it has one.
  /** @type {(() => void) | null} */
  #leave = null;
  /** @type {number | undefined} */
  #leaving;
  /** @type {(() => void)[]} */
  #whenChanged = [];
  /** @type {(() => void)[]} */
  #whenSlow = [];

  /** @param {TabsOptions} [options] */
  constructor({ channel = null, locks = null, now = () => performance.now() } = {}) {
    this.#channel = channel;
    this.#locks = locks;
    this.#now = now;
    channel?.addEventListener("message", ({ data }) => {
      if (data === "slows") for (const listener of this.#whenSlow) listener();
      else this.#count();
    });
  }

  // `changed`: this tab's share is another. `slow`: another tab had trouble.
  /** @param {{ changed: () => void, slow: () => void }} listeners */
  listen({ changed, slow }) {
    this.#whenChanged.push(changed);
    this.#whenSlow.push(slow);
  }

  // What this tab may use of what the person may: the same for each that sends, and one at least.
  /** @param {number} all */
  shareOf(all) {
    return Math.max(1, Math.floor(all / this.#number));
  }

  // This tab sends from now on, or still does.
  join() {
    if (!this.#locks) return;
    clearTimeout(this.#leaving);
    if (this.#leave) {
      if (this.#now() - this.#countedAt >= COUNT_EVERY_MS) this.#count();
      return;
    }
    const left = new Promise((resolve) => {
      this.#leave = () => resolve(undefined);
    });
    this.#countedAt = this.#now();
    this.#locks
      .request(PREFIX + crypto.randomUUID(), () => {
        this.#tellCount();
        return left;
      })
      // Let go of, or refused: the page is being closed.
      .then(
        () => this.#tellCount(),
        () => {},
      );
  }

  // This tab sends nothing any more, unless it joins again soon.
  leave() {
    if (!this.#leave) return;
    clearTimeout(this.#leaving);
    this.#leaving = setTimeout(() => {
      this.#leave?.();
      this.#leave = null;
    }, LINGER_MS);
  }

  // This tab had trouble: the others slow down with it.
  slow() {
    this.#say("slows");
  }

  #tellCount() {
    this.#say("counts");
    this.#count();
  }

  /** @param {Said} said */
  #say(said) {
    this.#channel?.postMessage(said);
  }

  async #count() {
    this.#countedAt = this.#now();
    const { held = [] } = (await this.#locks?.query()) ?? {};
    const number = Math.max(1, held.filter(({ name }) => name?.startsWith(PREFIX)).length);
    if (number === this.#number) return;
    this.#number = number;
    for (const listener of this.#whenChanged) listener();
  }
}
