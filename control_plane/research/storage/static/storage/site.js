// Requests to the control plane from its own pages.
import { csrfToken } from "./csrf.js";

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

/** @param {number} ms */
export const sleep = (ms) =>
  new Promise((resolve) => {
    setTimeout(resolve, ms);
  });

// One request with JSON, and the answer to it. `given` is the token that came with the page, `signedOut` what to say to who is signed out.
/** @param {string} address @param {object} body @param {{ given: string, signedOut: string }} page */
export const ask = async (address, body, { given, signedOut }) => {
  let answer;
  try {
    answer = await fetch(address, {
      method: "POST",
      headers: { "content-type": "application/json", "x-csrftoken": csrfToken(given) },
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
  if (answer.status === 401 || (answer.status === 403 && /\bCSRF\b/.test(detail))) throw new Refused(401, signedOut);
  throw new Refused(
    answer.status,
    typeof detail === "string" && detail ? detail : `The site answered with status ${answer.status}.`,
    retryAfter,
  );
};
