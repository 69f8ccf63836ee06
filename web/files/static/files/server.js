// What the file browser asks the control plane.

export class Refused extends Error {
  /** @param {number} status @param {string} message @param {number} [retryAfter] */
  constructor(status, message, retryAfter = 0) {
    super(message);
    this.name = "Refused";
    this.status = status;
    // In seconds, where the site says when to ask again: access that is being made ready on AWS. It stops saying so by itself.
    this.retryAfter = retryAfter;
  }
}

const SIGNED_OUT =
  "You are signed out. Nothing was changed. Load this page again to sign in, or sign in in another tab and try again here.";
/** @param {number} ms */
const sleep = (ms) =>
  new Promise((resolve) => {
    setTimeout(resolve, ms);
  });

/** @typedef {Pick<FilesSettings, "session" | "delete" | "restore" | "token">} ServerSettings */

export class Server {
  #settings;

  // `settings.token` is read for each request: signing in makes another one.
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
        return await this.#try(address, body);
      } catch (error) {
        if (!error.retryAfter) throw error;
        await sleep(1000 * error.retryAfter);
      }
    }
  }

  /** @param {string} address @param {object} body */
  async #try(address, body) {
    let answer;
    try {
      answer = await fetch(address, {
        method: "POST",
        headers: { "content-type": "application/json", "x-csrftoken": this.#settings.token },
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
