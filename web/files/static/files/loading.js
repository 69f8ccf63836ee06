// Lists a folder from S3 into what the page shows, and tells how far it is.
import { pages } from "./pages.js";

// Beyond this a page would hold too much; whoever has more narrows the folder.
export const MAX_LISTED = 500_000;

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
        if (!page.isLast) this.tell();
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

  /** @param {Pick<S3Listing, "objects" | "folders">} page */
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
