// Lists a folder from S3, a thousand entries with each call, and hands on what each call brought.

// Beyond this a page would hold too much; whoever has more narrows the folder.
export const MAX_LISTED = 500_000;
const WAITS_MS = [1000, 2000, 4000, 8000, 15_000];

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

// Every page of a listing. `onWait` hears of a try that failed and will be made again.
/**
 * @param {Pick<Bucket, "list">} bucket
 * @param {{ prefix: string, delimiter: string, signal: AbortSignal, onWait?: (error: Error) => void }} wanted
 */
export async function* pages(bucket, { prefix, delimiter, signal, onWait = () => {} }) {
  const ask = (/** @type {string} */ after) => {
    const asked = bucket.list({ prefix, delimiter, token: after, signal });
    // Whoever stops listening before its turn leaves it unread.
    asked.catch(() => {});
    return asked;
  };
  let token = "";
  let tries = 0;
  let asked = ask(token);
  for (;;) {
    let page;
    try {
      page = await asked;
    } catch (error) {
      if (!mayPass(error) || tries >= WAITS_MS.length) throw error;
      onWait(error);
      await sleep(WAITS_MS[tries], signal);
      tries += 1;
      asked = ask(token);
      continue;
    }
    tries = 0;
    token = page.next;
    // The next one comes while this one is read.
    if (token) asked = ask(token);
    yield page;
    if (!token) return;
  }
}

// One listing into one store.
export class Loading {
  /** @type {ListingState} */
  state = "loading";
  /** @type {any} */
  error = null;
  #stop = new AbortController();

  /**
   * @param {{ bucket: Pick<Bucket, "list">, prefix: string, isDeep: boolean, store: FileStore, hidden: FilesSettings["hidden"], tell: () => void }} wanted
   */
  constructor({ bucket, prefix, isDeep, store, hidden, tell }) {
    this.bucket = bucket;
    this.prefix = prefix;
    this.isDeep = isDeep;
    this.store = store;
    this.hidden = hidden;
    this.tell = tell;
  }

  async run() {
    this.state = "loading";
    const { signal } = this.#stop;
    const onWait = () => {
      this.state = "offline";
      this.tell();
    };
    try {
      for await (const page of pages(this.bucket, { prefix: this.prefix, delimiter: this.isDeep ? "" : "/", signal, onWait })) {
        this.state = "loading";
        this.#put(page);
        if (this.store.names.length >= MAX_LISTED) {
          this.state = "full";
          break;
        }
        if (page.next) this.tell();
      }
      if (this.state === "loading") this.state = "done";
    } catch (error) {
      if (signal.aborted) {
        this.state = "stopped";
      } else {
        this.state = "failed";
        this.error = error;
      }
    }
    this.tell();
  }

  stop() {
    this.#stop.abort();
  }

  /** @param {S3Listing} page */
  #put({ objects, folders }) {
    /** @param {string} key */
    const own = (key) => key.slice(this.prefix.length);
    /** @param {string} name */
    const isShown = (name) =>
      !name.split("/").some((part) => this.hidden.names.includes(part) || this.hidden.within.some((one) => part.includes(one)));
    /** @type {{ name: string, size: number, modified: string }[]} */
    const files = [];
    for (const { key, size, modified } of objects) {
      const name = own(key);
      // The marker that somebody made a folder with is the folder, and a file as well only where it has content.
      const isFile = size > 0 || (name && !name.endsWith("/"));
      if (isFile && isShown(name)) files.push({ name, size, modified });
    }
    this.store.add(files, folders.map(own).filter(isShown));
  }
}
