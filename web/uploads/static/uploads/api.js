import { csrfToken } from "../storage/csrf.js";

// The control plane: credentials, beginning and finishing files. Both are gathered, so that many small files are few requests.

const MAX_TRIES = 6;

// What the control plane answered instead of doing it.
export class Refused extends Error {
  /** @param {number} status @param {string} message @param {number} [retryAfter] */
  constructor(status, message, retryAfter = 0) {
    super(message);
    this.name = "Refused";
    this.status = status;
    // In seconds, where the site says when to ask again: access that is being made ready on AWS. It stops saying so by itself.
    this.retryAfter = retryAfter;
    // The same request would be refused again.
    this.isFinal = status === 400 || status === 413 || status === 422;
  }
}

const SIGNED_OUT = "You are signed out. What was sent is kept. Sign in again, and press “Try again”.";

/** @param {number} ms */
const sleep = (ms) =>
  new Promise((resolve) => {
    setTimeout(resolve, ms);
  });

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
        return await this.#try(what, body);
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

  /** @param {string} what @param {object} body */
  async #try(what, body) {
    let answer;
    try {
      answer = await fetch(`${this.#base}/${what}`, {
        method: "POST",
        headers: { "content-type": "application/json", "x-csrftoken": csrfToken(this.#csrf) },
        body: JSON.stringify(body),
        cache: "no-store",
      });
    } catch {
      throw new Refused(0, "The site does not answer.");
    }
    if (answer.ok) {
      return answer.json().catch(() => {
        throw new Refused(0, "Something on the way answered in the site's place, such as a network's sign-in page.");
      });
    }
    const { detail, retry_after: retryAfter = 0 } = await answer.json().then(
      (it) => it,
      () => ({}),
    );
    // Without a session there may be no token either, and the token is looked at first.
    if (answer.status === 401 || (answer.status === 403 && /\bCSRF\b/.test(detail))) throw new Refused(401, SIGNED_OUT);
    throw new Refused(
      answer.status,
      typeof detail === "string" && detail ? detail : `The site answered with status ${answer.status}.`,
      retryAfter,
    );
  }
}
