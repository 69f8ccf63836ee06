// Under which of S3's names a request goes. A browser opens six connections to a host, and S3 answers under several for the same bucket.

// The bucket's own name, as the session has it.
export const OWN = "";
const MOST_OF_A_HOST = 6;
// For a person, whatever number of names there is.
const MOST_OF_ALL = 16;
const MOST_TO_SAVE_DATA = 6;

// What is known of each other address in this session. Proxies and firewalls may let one name of S3's through and not the others, and a
// VPC endpoint has none by IPv6: so one is used only after a small request to it succeeded, and no more after the first that got no answer.
export class Hosts {
  /** @type {Map<string, "untried" | "trying" | "proved" | "dropped">} */
  #others;
  #most;

  // `others`: addresses, none unless a setting switches them on. `savesData`: the browser asks to send little.
  /** @param {{ others?: string[], savesData?: boolean }} [options] */
  constructor({ others = [], savesData = false } = {}) {
    this.#others = new Map(others.map((address) => [address, "untried"]));
    this.#most = savesData ? MOST_TO_SAVE_DATA : MOST_OF_ALL;
  }

  // How many requests may be under way, for the schedule: in all, and to each.
  /** @returns {import("./schedule.js").Slots} */
  get slots() {
    const proved = [...this.#others].filter(([, state]) => state === "proved").map(([address]) => address);
    const hosts = [OWN, ...proved].map((name) => ({ name, most: MOST_OF_A_HOST }));
    return { all: Math.min(this.#most, MOST_OF_A_HOST * hosts.length), hosts };
  }

  // An address that a small request should go to, to see whether it is answered: one after the other, and none where more connections
  // would not be used. Whoever asks tells how it went.
  toTry() {
    const states = [...this.#others.values()];
    if (states.includes("trying") || this.slots.all >= this.#most) return null;
    const [address] = [...this.#others].find(([, state]) => state === "untried") ?? [];
    if (!address) return null;
    this.#others.set(address, "trying");
    return address;
  }

  // It was answered.
  /** @param {string} address */
  proved(address) {
    if (this.#others.get(address) === "trying") this.#others.set(address, "proved");
  }

  // It was not, or sent the request elsewhere. Tells whether the same is to be asked for under the bucket's own name, with nothing held
  // against the file.
  /** @param {string} address */
  lost(address) {
    if (!this.#others.has(address)) return false;
    this.#others.set(address, "dropped");
    return true;
  }
}
