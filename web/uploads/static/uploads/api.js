import { ask, sleep } from "../storage/site.js";

// The control plane: credentials, beginning and finishing files. Both are gathered, so that many small files are few requests.

const MAX_TRIES = 6;

const SIGNED_OUT = "You are signed out. What was sent is kept. Sign in again, and press “Try again”.";

export class Api {
  #base;
  #csrf;

  /** @param {string} base @param {string} csrf */
  constructor(base, csrf) {
    this.#base = base;
    this.#csrf = csrf;
  }

  /** @returns {Promise<PageSession>} */
  session() {
    return this.#post("session", {});
  }
  /** @param {string} folder @param {NewFile[]} files @returns {Promise<StartedFile[]>} */
  start(folder, files) {
    return this.#post("start", { folder, files });
  }
  /** @param {SentFile[]} files @returns {Promise<EndedFile[]>} */
  finish(files) {
    return this.#post("finish", { files });
  }
  /** @param {number[]} ids @returns {Promise<{ removed: number }>} */
  remove(ids) {
    return this.#post("remove", { ids });
  }

  /** @param {string} what @param {object} body */
  async #post(what, body) {
    for (let tries = 1; ; tries += 1) {
      try {
        return await ask(`${this.#base}/${what}`, body, { given: this.#csrf, signedOut: SIGNED_OUT });
      } catch (error) {
        if (error.retryAfter) {
          await sleep(1000 * error.retryAfter);
          tries = 0;
          continue;
        }
        const isPassing = error.status === 0 || error.status >= 500;
        if (!isPassing || (error.status !== 0 && tries >= MAX_TRIES)) throw error;
        await sleep(Math.min(30_000, 500 * 2 ** tries) * (0.5 + Math.random() / 2));
      }
    }
  }
}
