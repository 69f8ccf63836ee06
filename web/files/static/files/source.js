// Where a file's content comes from: from S3, or, where no browser can ask S3 for it, from the site.
import { savable } from "../cohort/visible.js";
import { isAddressable } from "../storage/s3.js";

// The content cannot be had. A status of 0 is a lost connection.
class NotSent extends Error {
  /** @param {number} status @param {string} message */
  constructor(status, message) {
    super(message);
    this.name = "NotSent";
    this.status = status;
  }
}

// What a file is saved as: the last part of its key. The marker of a folder is called as the folder.
/** @param {string} key */
export const fileName = (key) => {
  const path = key.replace(/\/+$/, "");
  return savable(path.slice(path.lastIndexOf("/") + 1));
};

/** @param {string} name */
const disposition = (name) => {
  const plain = name.replace(/[^\x20-\x7e]|["\\%]/g, "_");
  const exact = encodeURIComponent(name).replace(/['()*]/g, (character) => `%${character.charCodeAt(0).toString(16)}`);
  return `attachment; filename="${plain}"; filename*=UTF-8''${exact}`;
};

class FromS3 {
  /** @param {Bucket} bucket @param {string} key */
  constructor(bucket, key) {
    this.bucket = bucket;
    this.key = key;
  }

  // The first bytes, `most` of them at most.
  /** @param {number} most @param {AbortSignal} [signal] */
  async first(most, signal) {
    const answer = await this.bucket.request("GET", this.key, { headers: { range: `bytes=0-${most - 1}` }, signal });
    return new Uint8Array(await answer.arrayBuffer());
  }

  // An address that a picture or a video can be shown from.
  /** @param {string} type @param {number} seconds @returns {Promise<string | null>} */
  medium(type, seconds) {
    return this.bucket.presign(this.key, { seconds, query: { "response-content-type": type } });
  }

  // An address that brings it as a file to save.
  download() {
    return this.bucket.presign(this.key, { query: { "response-content-disposition": disposition(fileName(this.key)) } });
  }

  // Whether it failed so because the file is not there.
  /** @param {any} error */
  isMissing(error) {
    return this.bucket.isMissing(error, this.key);
  }
}

class FromSite {
  // `address` is where the site sends one file.
  /** @param {string} address @param {string} key */
  constructor(address, key) {
    this.address = address;
    this.key = key;
  }

  /** @param {number} most @param {AbortSignal} [signal] */
  async first(most, signal) {
    let answer;
    try {
      answer = await fetch(this.#address({ first: String(most) }), { signal, cache: "no-store", redirect: "error" });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new NotSent(0, "The site does not answer, or you are signed out. Load the page again.");
    }
    if (!answer.ok) throw new NotSent(answer.status, `The site answered with status ${answer.status}.`);
    return new Uint8Array(await answer.arrayBuffer());
  }

  // The site shows nothing of anybody's in a page of its own.
  /** @param {string} _type @param {number} _seconds @returns {Promise<string | null>} */
  async medium(_type, _seconds) {
    return null;
  }

  async download() {
    return this.#address();
  }

  /** @param {any} error */
  async isMissing(error) {
    return error.status === 404;
  }

  /** @param {Record<string, string>} [more] */
  #address(more = {}) {
    return `${this.address}?${new URLSearchParams({ key: this.key, ...more })}`;
  }
}

/** @param {Bucket} bucket @param {string} address @param {string} key */
export const sourceOf = (bucket, address, key) => (isAddressable(key) ? new FromS3(bucket, key) : new FromSite(address, key));
