// How fast bytes leave, evened out over some seconds, and in words.
import { size } from "../files/format.js";

const EVEN_OUT = 0.3;
const LEAST_MS = 500;

export class Speed {
  #bytes = 0;
  /** @type {number | null} */
  #at = null;
  #rate = 0;

  // Bytes a second, from the bytes that have left altogether until `now` (milliseconds).
  /** @param {number} bytes @param {number} now */
  take(bytes, now) {
    if (this.#at === null || bytes < this.#bytes) {
      this.#bytes = bytes;
      this.#at = now;
      this.#rate = 0;
    } else if (now - this.#at >= LEAST_MS) {
      const rate = (1000 * (bytes - this.#bytes)) / (now - this.#at);
      this.#rate = this.#rate ? this.#rate + EVEN_OUT * (rate - this.#rate) : rate;
      this.#bytes = bytes;
      this.#at = now;
    }
    return this.#rate;
  }

  // Nothing is sent any more: the next bytes begin anew.
  stop() {
    this.#at = null;
    this.#rate = 0;
  }
}

/** @param {number} rate */
export const inWords = (rate) => (rate < 1 ? "" : `${size(Math.round(rate))}/s`);
