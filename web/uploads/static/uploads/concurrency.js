// How many requests go to S3 at the same time: as many as make it faster, within what browsers allow for one host.
import { Hosts } from "./hosts.js";
import { Schedule } from "./schedule.js";

/** @typedef {import("./schedule.js").Claim} Claim */

const LEAST = 1;
const FIRST = 4;
const LOOK_EVERY_MS = 2000;
// Less than this is noise.
const GAIN = 1.05;
/** @type {Claim} */
const ANY = { kind: "small", bytes: 0, order: 0 };

// The host that the request goes to, which its holder may change, and what gives the slot back.
/** @typedef {{ host: string, give: () => void }} HeldSlot */

export class Concurrency {
  hosts;
  #limit = FIRST;
  #schedule = new Schedule();
  /** @type {(Claim & { resolve: (slot: HeldSlot) => void })[]} */
  #waiting = [];
  #sent = 0;
  #now;
  #since;
  #rate = 0;
  #step = 1;

  // `now`: milliseconds.
  /** @param {{ now?: () => number, hosts?: Hosts }} [options] */
  constructor({ now = () => performance.now(), hosts = new Hosts() } = {}) {
    this.hosts = hosts;
    this.#now = now;
    this.#since = now();
  }

  get limit() {
    return this.#limit;
  }

  // Whether requests wait although as many are under way as the hosts take.
  get isFull() {
    return this.#waiting.length > 0 && this.#schedule.used >= this.hosts.slots.all;
  }

  // Resolves when it is this claim's turn.
  /** @param {AbortSignal} [signal] @param {Claim} [claim] @returns {Promise<HeldSlot>} */
  async take(signal, claim = ANY) {
    signal?.throwIfAborted();
    return new Promise((resolve, reject) => {
      const stop = () => {
        this.#waiting.splice(this.#waiting.indexOf(turn), 1);
        reject(new DOMException("Stopped.", "AbortError"));
      };
      const turn = {
        ...claim,
        resolve: (/** @type {HeldSlot} */ slot) => {
          signal?.removeEventListener("abort", stop);
          resolve(slot);
        },
      };
      signal?.addEventListener("abort", stop, { once: true });
      this.#waiting.push(turn);
      this.#next();
    });
  }

  #next() {
    const { all, hosts } = this.hosts.slots;
    const slots = { all: Math.min(this.#limit, all), hosts };
    for (let next = this.#schedule.begin(this.#waiting, slots); next; next = this.#schedule.begin(this.#waiting, slots)) {
      const { claim, host } = next;
      this.#waiting.splice(this.#waiting.indexOf(claim), 1);
      let isHeld = true;
      const give = () => {
        if (!isHeld) return;
        isHeld = false;
        this.#schedule.end(claim, host);
        this.#next();
      };
      claim.resolve({ host, give });
    }
  }

  // Bytes that arrived. Now and then, one more or one fewer is tried, and kept if it helped.
  /** @param {number} bytes */
  arrived(bytes) {
    this.#sent += bytes;
    const now = this.#now();
    if (now - this.#since < LOOK_EVERY_MS) return;
    const rate = this.#sent / (now - this.#since);
    const isBusy = this.#waiting.length > 0;
    if (isBusy && this.#rate) {
      if (rate < this.#rate / GAIN) this.#step = -this.#step;
      this.#set(this.#limit + this.#step);
    }
    this.#rate = rate;
    this.#sent = 0;
    this.#since = now;
  }

  // S3 asked to slow down, or the line broke: half as many.
  tooMany() {
    this.#set(Math.ceil(this.#limit / 2));
    this.#step = 1;
  }

  /** @param {number} limit */
  #set(limit) {
    this.#limit = Math.min(this.hosts.slots.all, Math.max(LEAST, limit));
    this.#next();
  }
}
