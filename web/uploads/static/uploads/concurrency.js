// How many requests go to S3 at the same time: as many as make it faster, within what browsers allow for one host.

const LEAST = 1;
// Browsers open six connections to a host over HTTP/1.1, which is what S3 speaks.
const MOST = 6;
const FIRST = 4;
const LOOK_EVERY_MS = 2000;
// Less than this is noise.
const GAIN = 1.05;

export class Concurrency {
  #limit = FIRST;
  #used = 0;
  /** @type {{ resolve: (value?: undefined) => void, signal?: AbortSignal }[]} */
  #waiting = [];
  #sent = 0;
  #since = performance.now();
  #rate = 0;
  #step = 1;

  get limit() {
    return this.#limit;
  }

  // Resolves when there is room, with the function that gives the room back.
  /** @param {AbortSignal} [signal] */
  async take(signal) {
    signal?.throwIfAborted();
    if (this.#used >= this.#limit) await this.#turn(signal);
    else this.#used += 1;
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      this.#used -= 1;
      this.#next();
    };
  }

  /** @param {AbortSignal} [signal] */
  #turn(signal) {
    return new Promise((resolve, reject) => {
      const turn = { resolve, signal };
      this.#waiting.push(turn);
      signal?.addEventListener(
        "abort",
        () => {
          const at = this.#waiting.indexOf(turn);
          if (at < 0) return;
          this.#waiting.splice(at, 1);
          reject(new DOMException("Stopped.", "AbortError"));
        },
        { once: true },
      );
    });
  }

  #next() {
    while (this.#waiting.length && this.#used < this.#limit) {
      this.#used += 1;
      this.#waiting.shift()?.resolve();
    }
  }

  // Bytes that arrived. Now and then, one more or one fewer is tried, and kept if it helped.
  /** @param {number} bytes */
  arrived(bytes) {
    this.#sent += bytes;
    const now = performance.now();
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
    this.#limit = Math.min(MOST, Math.max(LEAST, limit));
    this.#next();
  }
}
