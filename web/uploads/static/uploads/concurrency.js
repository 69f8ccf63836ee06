// How many requests go to S3 at the same time: as many as make it faster, within what browsers allow for a host and what is fair.
import { Adaptation } from "./adaptation.js";
import { Hosts } from "./hosts.js";
import { Schedule, costOf } from "./schedule.js";
import { Tabs } from "./tabs.js";

/** @typedef {import("./schedule.js").Claim} Claim */
// The host that the request goes to, which its holder may change, and what gives the slot back.
/** @typedef {{ host: string, give: () => void }} HeldSlot */

/** @type {Claim} */
const ANY = { kind: "small", bytes: 0, order: 0 };

export class Concurrency {
  hosts;
  #tabs;
  #now;
  #adaptation;
  #schedule = new Schedule();
  /** @type {(Claim & { resolve: (slot: HeldSlot) => void })[]} */
  #waiting = [];

  // `now`: milliseconds.
  /** @param {{ now?: () => number, hosts?: Hosts, tabs?: Tabs }} [options] */
  constructor({ now = () => performance.now(), hosts = new Hosts(), tabs = new Tabs() } = {}) {
    this.hosts = hosts;
    this.#now = now;
    this.#tabs = tabs;
    this.#adaptation = new Adaptation(now());
    tabs.listen({ changed: () => this.#next(), slow: () => this.#slowDown() });
  }

  get limit() {
    return Math.min(this.#adaptation.limit, this.#most);
  }

  // Whether requests wait although as many are under way as the hosts take.
  get isFull() {
    return this.#waiting.length > 0 && this.#schedule.used >= this.#most;
  }

  get #most() {
    return this.#tabs.shareOf(this.hosts.slots.all);
  }

  // Resolves when it is this claim's turn.
  /** @param {AbortSignal} [signal] @param {Claim} [claim] @returns {Promise<HeldSlot>} */
  async take(signal, claim = ANY) {
    signal?.throwIfAborted();
    this.#tabs.join();
    return new Promise((resolve, reject) => {
      const stop = () => {
        this.#waiting.splice(this.#waiting.indexOf(turn), 1);
        this.#leave();
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
    const slots = { all: this.limit, hosts: this.hosts.slots.hosts };
    for (let next = this.#schedule.begin(this.#waiting, slots); next; next = this.#schedule.begin(this.#waiting, slots)) {
      const { claim, host } = next;
      this.#waiting.splice(this.#waiting.indexOf(claim), 1);
      let isHeld = true;
      const give = () => {
        if (!isHeld) return;
        isHeld = false;
        this.#adaptation.ended();
        this.#schedule.end(claim, host);
        this.#next();
        this.#leave();
      };
      claim.resolve({ host, give });
    }
  }

  #leave() {
    if (!this.#waiting.length && !this.#schedule.used) this.#tabs.leave();
  }

  // So many bytes of a small file, or of a part, have left.
  /** @param {number} bytes @param {import("./schedule.js").Kind} kind */
  arrived(bytes, kind) {
    const isSmall = this.#waiting.some((claim) => claim.kind === "small");
    const next = isSmall ? "small" : (this.#waiting[0]?.kind ?? null);
    this.#adaptation.arrived(kind, costOf({ kind, bytes }), this.#now(), { most: this.#most, next });
    this.#next();
  }

  // S3 asked to slow down, or the line broke: half as many, in all tabs.
  tooMany() {
    if (this.#slowDown()) this.#tabs.slow();
  }

  #slowDown() {
    return this.#adaptation.slowDown(this.#now());
  }
}
