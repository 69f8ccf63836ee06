// S3 from the browser, with short-lived credentials that a function hands out and that are renewed before they end.
import { AwsClient } from "../vendor/aws4fetch/aws4fetch.esm.mjs";
import { readListing } from "./listing.js";

const RENEW_BEFORE_MS = 5 * 60 * 1000;
const EXPIRED = new Set(["ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestTimeTooSkewed"]);

const REDIRECTED = "Redirected";
const NOT_S3 = "NotS3";
// A request of which nothing has left or come for so long has lost its connection, whatever the machine believes.
const STALLED_MS = 120_000;
// A timer that is later than this was held up, as in a tab that was frozen: what came meanwhile is looked at first.
const LATE_MS = 5000;
// How long an address that lists a folder holds.
const LIST_SECONDS = "300";

// What S3 answered, or could not answer: a status of 0 is a lost connection.
export class S3Error extends Error {
  // `answered` is S3's own status, where ours says what to do about it.
  /** @param {number} status @param {string} code @param {string} message @param {number} [answered] */
  constructor(status, code, message, answered = status) {
    super(message);
    this.name = "S3Error";
    this.status = status;
    this.answered = answered;
    this.code = code;
  }

  get isExpired() {
    return EXPIRED.has(this.code);
  }
  get isConnection() {
    return this.status === 0;
  }
  get isRedirect() {
    return this.code === REDIRECTED;
  }
  get isNotS3() {
    return this.code === NOT_S3;
  }
}

/** @param {string} text */
const encode = (text) => encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
/** @param {string} key */
const encodeKey = (key) => key.split("/").map(encode).join("/");
/** @param {string} bucket @param {string} key @param {Record<string, string>} query */
const urlOf = (bucket, key, query) => {
  const url = new URL(key ? `${bucket}/${encodeKey(key)}` : bucket);
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
  // `+` would be read as a space by whoever decodes forms, and S3 does not.
  url.search = url.search.replace(/\+/g, "%20");
  return url.toString();
};
// A browser takes the parts `.` and `..` out of an address, written `%2e` too, so that it would ask S3 for another object.
/** @param {string} key */
export const isAddressable = (key) => !key.split("/").some((part) => part === "." || part === "..");
/** @param {Document | Element} parent @param {string} tag */
const text = (parent, tag) => parent.getElementsByTagName(tag)[0]?.textContent ?? "";
// S3 sends blanks while it puts parts together, and an XML declaration may stand at the start alone.
/** @param {string} body */
const parse = (body) => new DOMParser().parseFromString(body.trimStart(), "application/xml");
// A network's sign-in page comes with status 200 too. It passes like a lost connection.
const notS3 = () => new S3Error(0, NOT_S3, "Something on the way answered in S3's place, such as a network's sign-in page.");
// An answer of S3's, by the name of its outermost element.
/** @param {string} body @param {string} root */
const read = (body, root) => {
  const document = parse(body);
  if (document.documentElement?.tagName !== root) throw notS3();
  return document;
};

// A refusal so soon after a deployment may only be IAM's delay: whoever tries again after trouble of S3's does so after it too.
/** @param {number} status @param {string} code @param {number} settles */
const isLate = (status, code, settles) =>
  status === 403 && (code === "AccessDenied" || code === "InvalidAccessKeyId") && Date.now() < settles;

/** @param {number} status @param {string} body @param {number} [settles] */
const errorFrom = (status, body, settles = 0) => {
  const document = body ? parse(body) : null;
  const code = (document && text(document, "Code")) || `Status${status}`;
  if (isLate(status, code, settles)) return new S3Error(503, "BeingMadeReady", "Your access is being made ready on AWS.", status);
  return new S3Error(status, code, (document && text(document, "Message")) || `S3 answered with status ${status}.`);
};

// What was signed for one host is for no other, and what comes from another is not S3's answer.
/** @param {string} answered @param {string} asked */
const isElsewhere = (answered, asked) => answered !== "" && new URL(answered).origin !== new URL(asked).origin;
const redirected = () => new S3Error(400, REDIRECTED, "The answer sent the browser to another address, which was refused.");

// Watches whether anything of a request moves, and ends it where nothing does for long.
class Stall {
  is = false;
  #end;
  #since = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /** @param {() => void} end */
  constructor(end) {
    this.#end = end;
    this.moved();
  }

  moved() {
    clearTimeout(this.#timer);
    this.#since = Date.now();
    this.#timer = setTimeout(() => this.#rang(), STALLED_MS);
  }

  end() {
    clearTimeout(this.#timer);
  }

  #rang() {
    if (Date.now() - this.#since > STALLED_MS + LATE_MS) {
      this.moved();
      return;
    }
    this.is = true;
    this.#end();
  }
}

/** @typedef {{ address: string, offset: number, ends: number, settles: number, client: AwsClient }} Session */

export class Bucket {
  /** @type {() => Promise<PageSession>} */
  #open;
  /** @type {Session | null} */
  #session = null;
  /** @type {Promise<Session> | null} */
  #opening = null;

  /** @param {() => Promise<PageSession>} open */
  constructor(open) {
    this.#open = open;
  }

  // Open a session before the first request needs it. What goes wrong is said by that request.
  prepare() {
    this.#ready().catch(() => {});
  }

  // Throw the session away, so that the next request opens another.
  forget() {
    this.#session = null;
  }

  async #ready() {
    if (this.#session && this.#session.ends - Date.now() > RENEW_BEFORE_MS) return this.#session;
    this.#opening ??= this.#renew().finally(() => {
      this.#opening = null;
    });
    return this.#opening;
  }

  async #renew() {
    const given = await this.#open();
    // The server's clock counts: a laptop's may be wrong by more than the quarter of an hour that AWS lets pass.
    const offset = new Date(given.now).getTime() - Date.now();
    this.#session = {
      address: given.address,
      offset,
      ends: new Date(given.expires).getTime() - offset,
      settles: given.settles ? new Date(given.settles).getTime() - offset : 0,
      client: new AwsClient({
        accessKeyId: given.access_key_id,
        secretAccessKey: given.secret_access_key,
        sessionToken: given.session_token,
        service: "s3",
        region: given.region,
        retries: 0,
      }),
    };
    return this.#session;
  }

  // A signed request, as the parts that fetch and XMLHttpRequest both take.
  /** @param {string} method @param {string} key @param {S3RequestOptions} [options] */
  async signed(method, key, { query = {}, headers = {}, body = null, sign = {}, address = "" } = {}) {
    if (!isAddressable(key)) {
      throw new S3Error(400, "NotAddressable", "A part of its path is “.” or “..”, for which a browser cannot ask S3.");
    }
    const { client, address: own, offset } = await this.#ready();
    const asked = urlOf(address || own, key, query);
    const datetime = new Date(Date.now() + offset).toISOString().replace(/[:-]|\.\d{3}/g, "");
    const request = await client.sign(asked, { method, headers, body, aws: { datetime, ...sign } });
    return { url: request.url, headers: request.headers };
  }

  // One request without a large body. Retries once with a fresh session where the old one had ended.
  /** @param {string} method @param {string} key @param {S3RequestOptions} [options] @returns {Promise<Response>} */
  async request(method, key, options = {}) {
    try {
      return await this.#request(method, key, options);
    } catch (error) {
      if (!error.isExpired) throw error;
      this.forget();
      return this.#request(method, key, options);
    }
  }

  /** @param {string} method @param {string} key @param {S3RequestOptions} options */
  async #request(method, key, { signal, ...options }) {
    const { url, headers } = await this.signed(method, key, options);
    let answer;
    try {
      answer = await fetch(url, { method, headers, body: options.body ?? null, signal, cache: "no-store", redirect: "manual" });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new S3Error(0, "Connection", "S3 could not be reached.");
    }
    if (answer.type === "opaqueredirect") throw redirected();
    if (!answer.ok) throw errorFrom(answer.status, method === "HEAD" ? "" : await answer.text(), this.#session?.settles);
    return answer;
  }

  // Send a blob, which is read from the disk while it goes. XMLHttpRequest, because fetch does not tell how far it is.
  /** @param {string} key @param {Blob | ArrayBuffer} blob @param {S3PutOptions} [options] @returns {Promise<HeaderOf>} */
  async put(key, blob, { query, headers, signal, address, onProgress } = {}) {
    const { url, headers: signedHeaders } = await this.signed("PUT", key, { query, headers, address });
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      const abort = () => request.abort();
      signal?.throwIfAborted();
      signal?.addEventListener("abort", abort, { once: true });
      const stall = new Stall(abort);
      request.addEventListener("loadend", () => {
        signal?.removeEventListener("abort", abort);
        stall.end();
      });
      request.open("PUT", url);
      for (const [name, value] of signedHeaders) if (name !== "host") request.setRequestHeader(name, value);
      request.upload.addEventListener("progress", (event) => {
        stall.moved();
        onProgress?.(event.loaded);
      });
      request.addEventListener("abort", () =>
        reject(
          stall.is ? new S3Error(0, "Connection", "S3 does not answer any more.") : new DOMException("Stopped.", "AbortError"),
        ),
      );
      request.addEventListener("error", () => reject(new S3Error(0, "Connection", "S3 could not be reached.")));
      request.addEventListener("load", () => {
        /** @param {string} name */
        const header = (name) => /** @type {string} */ (request.getResponseHeader(name));
        if (isElsewhere(request.responseURL, url)) reject(redirected());
        else if (request.status >= 200 && request.status < 300) {
          if (header("etag")) resolve(header);
          else reject(notS3());
        } else reject(errorFrom(request.status, request.responseText, this.#session?.settles));
      });
      request.send(blob);
    });
  }

  // Up to `max` objects and folders of a prefix, from the first after `after`; `token` goes on where the last answer ended. Empty
  // `delimiter`: all below.
  /**
   * @param {{ prefix: string, delimiter?: string, after?: string, token?: string, max?: number, signal?: AbortSignal, address?: string }} asked
   * @returns {Promise<S3Listing>}
   */
  async list({ prefix, delimiter = "/", after = "", token = "", max = 1000, signal, address }) {
    /** @type {Record<string, string>} */
    const query = { "list-type": "2", prefix, "max-keys": String(max), "encoding-type": "url" };
    if (delimiter) query.delimiter = delimiter;
    if (token) query["continuation-token"] = token;
    else if (after) query["start-after"] = after;
    // Signed in the address: with a header of its own each page would cost a preflight, since each has another address.
    query["X-Amz-Expires"] = LIST_SECONDS;
    const answer = await this.request("GET", "", { query, sign: { signQuery: true }, signal, address });
    const listed = readListing(await answer.text());
    if (!listed) throw notS3();
    return listed;
  }

  // What S3 holds under a key, with its checksum; null if there is nothing.
  /** @param {string} key */
  async head(key) {
    try {
      return await this.#head(key);
    } catch (error) {
      if (await this.isMissing(error, key)) return null;
      if (error.status !== 403) throw error;
      // It is listed: it came a moment ago, or the session had ended, which the listing was told and the answer to a HEAD is not.
      return this.#head(key);
    }
  }

  /** @param {string} key */
  async #head(key) {
    const { headers } = await this.request("HEAD", key, { headers: { "x-amz-checksum-mode": "ENABLED" } });
    return {
      size: Number(headers.get("content-length")),
      etag: headers.get("etag"),
      modified: headers.get("last-modified"),
      crc32: headers.get("x-amz-checksum-type") === "COMPOSITE" ? null : headers.get("x-amz-checksum-crc32"),
    };
  }

  // Whether this is S3's way to say that nothing lies under the key: 404 to whoever may list, 403 to others, and undecided for a right
  // to list under a prefix, as ours is. So a listing tells, as in control_plane/research/storage/presence.py. Throws where that is refused.
  /** @param {any} error @param {string} key @returns {Promise<boolean>} */
  async isMissing(error, key) {
    if (error.answered !== 403) return error.answered === 404;
    const { objects } = await this.list({ prefix: key, delimiter: "", max: 1 });
    return objects[0]?.key !== key;
  }

  // An address that lets whoever has it read one object for a while. Query: response-content-disposition and the like.
  /** @param {string} key @param {{ seconds?: number, query?: Record<string, string> }} [options] */
  async presign(key, { seconds = 900, query = {} } = {}) {
    const { url } = await this.signed("GET", key, {
      query: { ...query, "X-Amz-Expires": String(seconds) },
      sign: { signQuery: true },
    });
    return url;
  }

  // Every part that S3 holds of an unfinished upload, by its number: {etag, size, crc32}.
  /** @param {string} key @param {string} uploadId @param {AbortSignal} [signal] */
  async parts(key, uploadId, signal) {
    /** @type {Map<number, S3Part>} */
    const found = new Map();
    let marker = "0";
    while (marker) {
      const query = { uploadId, "part-number-marker": marker };
      const answer = read(await (await this.request("GET", key, { query, signal })).text(), "ListPartsResult");
      for (const part of answer.getElementsByTagName("Part")) {
        found.set(Number(text(part, "PartNumber")), {
          etag: text(part, "ETag"),
          size: Number(text(part, "Size")),
          crc32: text(part, "ChecksumCRC32"),
        });
      }
      marker = text(answer, "IsTruncated") === "true" ? text(answer, "NextPartNumberMarker") : "";
    }
    return found;
  }

  // Put the parts together. S3 may take minutes, and may say 200 and still have failed.
  /** @param {string} key @param {string} uploadId @param {SentPart[]} parts @param {S3RequestOptions} [options] */
  async complete(key, uploadId, parts, { headers, signal } = {}) {
    const listed = parts.map(
      ({ number, etag, crc32 }) =>
        `<Part><PartNumber>${number}</PartNumber><ETag>${etag.replaceAll('"', "&quot;")}</ETag><ChecksumCRC32>${crc32}</ChecksumCRC32></Part>`,
    );
    const body = `<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${listed.join("")}</CompleteMultipartUpload>`;
    const answer = await this.request("POST", key, {
      query: { uploadId },
      headers: { "content-type": "application/xml", ...headers },
      body,
      signal,
    });
    const said = await answer.text();
    if (parse(said).documentElement?.tagName === "Error") throw errorFrom(500, said);
    return { etag: text(read(said, "CompleteMultipartUploadResult"), "ETag"), version: answer.headers.get("x-amz-version-id") };
  }
}
