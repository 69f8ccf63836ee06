// Downloading: one file in a tab of its own, several as a zip that the site sends.
import { visible } from "../cohort/visible.js";
import { csrfToken } from "../storage/csrf.js";
import { el } from "./dom.js";
import { count } from "./format.js";
import { fileName, sourceOf } from "./source.js";

export class Downloads {
  #part;
  #settings;
  #bucket;
  #tell;

  // `part(name)` gives a part of the page; tell(text) shows a notice.
  /** @param {FilesPart} part @param {{ settings: FilesSettings, bucket: Bucket, tell: (text: string) => void }} page */
  constructor(part, { settings, bucket, tell }) {
    this.#part = part;
    this.#settings = settings;
    this.#bucket = bucket;
    this.#tell = tell;
  }

  // In a tab of its own, which closes by itself: an upload on this page goes on, and an error does not replace the page.
  /** @param {string} key */
  async file(key) {
    try {
      const href = await sourceOf(this.#bucket, this.#settings.one, key).download();
      el("a", { href, target: "_blank", rel: "noopener" }).click();
    } catch (error) {
      this.#tell(`${visible(fileName(key))} cannot be downloaded just now. ${error.message}`);
    }
  }

  // `names` are relative to the folder, whose key begins with `prefix` and whose path on the page is `path`.
  /** @param {string} prefix @param {string} path @param {string[]} names */
  zip(prefix, path, names) {
    if (!names.length) {
      this.#tell(
        "Only markers of folders were found, and those come with their folder. Choose the folder, or press Download beside each.",
      );
      return;
    }
    const single = names.filter((name) => !name.endsWith("/"));
    // An empty name is the folder itself.
    if (names.length === 1 && names[0] && single.length === 1) {
      this.file(prefix + names[0]);
      return;
    }
    const most = this.#settings.most_single;
    if (single.length > most) {
      this.#tell(`A zip takes ${count(most)} single files, and you chose ${count(single.length)}. Choose whole folders instead.`);
      return;
    }
    this.#part("zip-path").value = this.#settings.root + path;
    this.#part("zip-keys").value = JSON.stringify(names);
    const form = this.#part("zip");
    const token = /** @type {HTMLInputElement} */ (form.elements.namedItem("csrfmiddlewaretoken"));
    token.value = csrfToken(token.value);
    form.submit();
  }
}
