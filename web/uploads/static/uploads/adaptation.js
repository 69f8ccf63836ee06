// How many requests side by side are worth it: few at first, more while more gets through, half as many when S3 or the line has trouble.

const FIRST = 2;
const LEAST = 1;
// What gets through in less time, or with fewer requests of each slot, tells little. Large requests may take long; it is looked all the same.
const LOOK_MS = 500;
const LEAST_OF_A_SLOT = 2;
const LONGEST_LOOK_MS = 2000;
// Less than this is noise.
const GAIN = 1.05;
// How long a number is kept before one more is tried.
const KEEP_MS = 5000;
// A kind of work that has not been seen for so long is another one.
const FORGET_MS = 10_000;
// Requests that are under way together fail together: that is one trouble.
const ONE_TROUBLE_MS = 1000;

/** @typedef {"growing" | "keeping" | "trying"} Phase */
/** @typedef {{ limit: number, kind: string, rate: number }} Measured */
/**
 * @typedef {object} Load
 * @property {number} most Requests that may be under way.
 * @property {string | null} next The kind of work that one more request would be of. Null where nothing waits: then more would not be used.
 */

// Times are milliseconds.
export class Adaptation {
  #limit = FIRST;
  /** @type {Phase} */
  #phase = "growing";
  // After trouble there is one more at a time.
  #isCareful = false;
  // What got through with fewer requests.
  /** @type {Measured | null} */
  #before = null;
  // When work of each kind last got through, and how much since it is watched.
  /** @type {Map<string, number>} */
  #seen = new Map();
  /** @type {Map<string, number>} */
  #work = new Map();
  #ended = 0;
  #since;
  #troubleAt = -Infinity;

  /** @param {number} now */
  constructor(now) {
    this.#since = now;
  }

  get limit() {
    return this.#limit;
  }

  // A request ended.
  ended() {
    this.#ended += 1;
  }

  // So much work of this kind got through. What counts as how much is for the caller to say.
  /** @param {string} kind @param {number} work @param {number} now @param {Load} load */
  arrived(kind, work, now, { most, next }) {
    this.#meet(kind, now);
    this.#work.set(kind, (this.#work.get(kind) ?? 0) + work);
    const elapsed = now - this.#since;
    if (this.#isTooEarly(elapsed)) return;
    // Of the other kinds, which come in larger lumps, as much gets through with more requests or with fewer.
    if (next) this.#learn({ limit: this.#limit, kind: next, rate: (this.#work.get(next) ?? 0) / elapsed }, most);
    else this.#before = null;
    this.#watchAnew(now);
  }

  // S3 asked to slow down, or the line broke. Tells whether that was news.
  /** @param {number} now */
  slowDown(now) {
    if (now - this.#troubleAt < ONE_TROUBLE_MS) return false;
    this.#troubleAt = now;
    this.#limit = Math.max(LEAST, Math.ceil(this.#limit / 2));
    this.#isCareful = true;
    this.#grow(now);
    return true;
  }

  /** @param {number} elapsed */
  #isTooEarly(elapsed) {
    if (this.#phase === "keeping") return elapsed < KEEP_MS;
    if (this.#isGentle || this.#ended < LEAST_OF_A_SLOT * this.#limit) return elapsed < LONGEST_LOOK_MS;
    return elapsed < LOOK_MS;
  }

  // Another kind of work than before may be worth more requests than that was.
  /** @param {string} kind @param {number} now */
  #meet(kind, now) {
    const isNew = now - (this.#seen.get(kind) ?? -Infinity) > FORGET_MS;
    this.#seen.set(kind, now);
    if (isNew) this.#grow(now);
  }

  /** @param {number} now */
  #grow(now) {
    this.#phase = "growing";
    this.#before = null;
    this.#watchAnew(now);
  }

  /** @param {number} now */
  #watchAnew(now) {
    this.#since = now;
    this.#work.clear();
    this.#ended = 0;
  }

  /** @param {Measured} measured @param {number} most */
  #learn(measured, most) {
    const before = this.#before?.kind === measured.kind ? this.#before : null;
    const isInVain = before !== null && measured.rate < GAIN * before.rate;
    if (isInVain) this.#limit = before.limit;
    if (isInVain || this.#limit >= most) {
      this.#phase = "keeping";
      this.#before = null;
      return;
    }
    if (this.#phase === "keeping") this.#phase = "trying";
    this.#before = measured;
    this.#limit = Math.min(most, this.#isGentle ? this.#limit + 1 : 2 * this.#limit);
  }

  get #isGentle() {
    return this.#isCareful || this.#phase === "trying";
  }
}
