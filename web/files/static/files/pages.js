// All pages of a list, in order, asked for by several lanes at once: each begins after a name that was guessed, and ends where the
// next one begins. S3 lists by name, so that together they bring every name once, whatever was guessed.
import { guesses } from "./guesses.js";

const FIRST_NAMES = 100;
const MOST_NAMES = 1000;
const WAITS_MS = [1000, 2000, 4000, 8000, 15_000];
// Lanes beside the one that is read: a browser has six connections to a host, of which others need one too.
const MOST_AHEAD = 4;
// After a guess that brought nothing of its own so many pages go one after the other.
const REST_PAGES = 8;

/** @param {number} milliseconds @param {AbortSignal} signal */
const sleep = (milliseconds, signal) =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    // As soon as the machine is back on the network there is nothing to wait for.
    window.addEventListener("online", resolve, { once: true });
    signal.addEventListener(
      "abort",
      () => {
        clearTimeout(timer);
        reject(signal.reason);
      },
      { once: true },
    );
  });

/** @param {{ status: number }} error */
const mayPass = (error) => error.status === 0 || error.status >= 500;

// Half of a pair in UTF-16 stands for a character after all others, and its number does not say so.
/** @param {number} unit */
const rank = (unit) => (unit >= 0xe000 ? unit - 0x800 : unit >= 0xd800 ? unit + 0x2000 : unit);

// Whether S3 lists this name after the other one: it goes by the bytes of UTF-8.
/** @param {string} name @param {string} other */
export const isAfter = (name, other) => {
  const length = Math.min(name.length, other.length);
  for (let at = 0; at < length; at += 1) {
    const [own, its] = [name.charCodeAt(at), other.charCodeAt(at)];
    if (own !== its) return rank(own) > rank(its);
  }
  return name.length > other.length;
};

// The first name of a page and the last one, and how many it has.
/** @param {S3Listing} page */
const extentOf = ({ objects, folders }) => {
  const ends = [objects[0]?.key, objects.at(-1)?.key, folders[0], folders.at(-1)].filter((name) => name !== undefined);
  const ordered = ends.sort((one, other) => (one === other ? 0 : isAfter(one, other) ? 1 : -1));
  return { first: ordered[0] ?? "", last: ordered.at(-1) ?? "", count: objects.length + folders.length };
};

/** @typedef {{ prefix: string, delimiter: string, signal: AbortSignal, onWait?: (error: Error) => void, stretch?: number }} Wanted */

// The list from one name to another; to its end, as long as no lane begins after this one.
class Lane {
  until = "";
  isOver = false;
  #token = "";
  /** @type {Promise<S3Listing>} */
  #asked;

  /** @param {(place: { after: string, token: string }) => Promise<S3Listing>} list @param {string} after @param {(page: S3Listing) => void} answered */
  constructor(list, after, answered) {
    this.list = list;
    this.after = after;
    this.answered = answered;
    this.#asked = this.#ask();
  }

  // The next page of it, and ask for the one after that.
  async next() {
    const page = await this.#asked;
    const own = this.#own(page);
    this.#token = page.next;
    this.isOver = !page.next || (this.until !== "" && isAfter(extentOf(page).last, this.until));
    if (!this.isOver) this.#asked = this.#ask();
    return own;
  }

  // Ask again for what could not be had.
  again() {
    this.#asked = this.#ask();
  }

  // What of a page lies in this lane.
  /** @param {S3Listing} page */
  #own({ objects, folders }) {
    if (!this.until) return { objects, folders };
    return {
      objects: objects.filter(({ key }) => !isAfter(key, this.until)),
      folders: folders.filter((name) => !isAfter(name, this.until)),
    };
  }

  #ask() {
    const asked = this.list({ after: this.after, token: this.#token }).then((page) => {
      this.answered(page);
      return page;
    });
    // Whoever stops listening before its turn leaves it unread.
    asked.catch(() => {});
    return asked;
  }
}

class Lanes {
  /** @type {Lane[]} */
  open = [];
  #list;
  #stretch;
  #ahead = 1;
  #rest = 0;

  /** @param {Lane["list"]} list @param {number} [stretch] */
  constructor(list, stretch) {
    this.#list = list;
    this.#stretch = stretch;
    this.#begin("");
  }

  /** @param {string} after */
  #begin(after) {
    /** @type {Lane} */
    const lane = new Lane(this.#list, after, (page) => this.#learn(lane, page));
    this.open.push(lane);
    return lane;
  }

  // An answer says whether the guess before it was good, and where to guess next.
  /** @param {Lane} lane @param {S3Listing} page */
  #learn(lane, page) {
    const extent = extentOf(page);
    if (lane.after && (!extent.count || (lane.until && isAfter(extent.first, lane.until)))) {
      this.#ahead = 1;
      this.#rest = REST_PAGES;
    } else {
      this.#ahead = Math.min(this.#ahead + 1, MOST_AHEAD);
      this.#rest = Math.max(0, this.#rest - 1);
    }
    if (lane !== this.open.at(-1) || !page.next || this.#rest) return;
    const most = Math.min(this.#ahead, MOST_AHEAD + 1 - this.open.length);
    let last = lane;
    for (const guess of guesses(extent, most, this.#stretch)) {
      last.until = guess;
      last = this.#begin(guess);
    }
  }
}

// Every page of a listing. `onWait` hears of a try that failed and will be made again; `stretch`, see `guesses`.
/** @param {Pick<Bucket, "list">} bucket @param {Wanted} wanted */
export async function* pages(bucket, { prefix, delimiter, signal, onWait = () => {}, stretch }) {
  const lanes = new Lanes(({ after, token }) => {
    // The first one brings what is shown first, and so comes sooner.
    const max = after || token ? MOST_NAMES : FIRST_NAMES;
    return bucket.list({ prefix, delimiter, after, token, max, signal });
  }, stretch);
  let tries = 0;
  while (lanes.open.length) {
    const [lane] = lanes.open;
    let page;
    try {
      page = await lane.next();
    } catch (error) {
      if (!mayPass(error) || tries >= WAITS_MS.length) throw error;
      onWait(error);
      await sleep(WAITS_MS[tries], signal);
      tries += 1;
      lane.again();
      continue;
    }
    tries = 0;
    if (lane.isOver) lanes.open.shift();
    yield { ...page, isLast: !lanes.open.length };
  }
}
