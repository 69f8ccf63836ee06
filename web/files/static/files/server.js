// What the file browser asks the control plane.
import { ask, sleep } from "../storage/site.js";

const SIGNED_OUT =
  "You are signed out. Nothing was changed. Load this page again to sign in, or sign in in another tab and try again here.";

/** @typedef {Pick<FilesSettings, "session" | "delete" | "restore" | "token">} ServerSettings */

export class Server {
  #settings;

  // `settings.token` is the one that came with the page.
  /** @param {ServerSettings} settings */
  constructor(settings) {
    this.#settings = settings;
  }

  /** @returns {Promise<PageSession>} */
  session() {
    return this.#post(this.#settings.session, {});
  }
  /** @param {string[]} keys @returns {Promise<DeletionOutcomes>} */
  remove(keys) {
    return this.#post(this.#settings.delete, { keys });
  }
  /** @param {DeletionMarker[]} items @returns {Promise<DeletionOutcomes>} */
  restore(items) {
    return this.#post(this.#settings.restore, { items });
  }

  /** @param {string} address @param {object} body */
  async #post(address, body) {
    for (;;) {
      try {
        return await ask(address, body, { given: this.#settings.token, signedOut: SIGNED_OUT });
      } catch (error) {
        if (!error.retryAfter) throw error;
        await sleep(1000 * error.retryAfter);
      }
    }
  }
}
