// Sending one file to S3: in one request if it is small, otherwise in parts that go side by side.
import { FileChanged, combine, toBase64 } from "./checksums.js";
import { OWN } from "./hosts.js";
import { isConflict, persist } from "./retry.js";

// The upload has to be begun anew: S3 has forgotten it (it was removed, or is older than a week), or what lies under its name is not
// what it was when the upload began.
export class Forgotten extends Error {}
const DROPPED = "S3 does not hold what was sent of it any more. The file is not complete; try it again.";
const MEANWHILE =
  "Somebody changed a file of this name while yours was sent. Nothing was replaced, and yours is not complete; try it again.";
// There is an object of that name already; nothing was replaced.
export class Exists extends Error {}

// Parts whose checksums are worked out before they are needed: one for each worker.
const READ_AHEAD = 2;
const CHANGED_ON_THE_WAY = new Set(["BadDigest", "InvalidDigest", "EntityTooSmall", "IncompleteBody"]);

/** @param {Pick<UploadItem, "replaces">} item @returns {Record<string, string>} */
const condition = (item) => (item.replaces ? { "if-match": item.replaces } : { "if-none-match": "*" });

/** @param {{ code?: string }} error @param {Pick<UploadItem, "replaces">} item */
const isToBeginAnew = (error, item) => {
  // What was to be replaced is gone: then nothing is to be replaced.
  if (error.code === "NoSuchKey") item.replaces = "";
  return error.code === "NoSuchUpload" || error.code === "NoSuchKey";
};

/** @param {{ status?: number }} error */
const isThere = (error) => error.status === 412;

// What S3's answer means for the file.
/** @param {any} error @param {Pick<UploadItem, "replaces">} item */
const inOurTerms = (error, item) => {
  if (isThere(error)) return new Exists();
  if (isToBeginAnew(error, item)) return new Forgotten(DROPPED);
  if (CHANGED_ON_THE_WAY.has(error.code)) return new FileChanged(false);
  return error;
};

// Whether S3 has this part already.
/** @param {S3Part} there @param {Blob} blob @param {number} crc */
const isSame = (there, blob, crc) => there.size === blob.size && there.crc32 === toBase64(crc);

// Reading one byte tells whether the browser still vouches for the file.
/** @param {File} file */
const check = (file) => async () => {
  try {
    await file.slice(0, 1).arrayBuffer();
  } catch {
    throw new FileChanged();
  }
};

/**
 * @typedef {object} FileSenderOptions
 * @property {Pick<Bucket, "put" | "list" | "parts" | "complete" | "head" | "forget">} bucket
 * @property {FileChecksums} checksums
 * @property {Pick<UploadConcurrency, "take" | "arrived" | "tooMany" | "hosts" | "isFull">} concurrency
 */
/** @typedef {import("./concurrency.js").HeldSlot} HeldSlot */
/** @typedef {{ number: number, blob: Blob, crc32: string, item: SendableItem, slot: HeldSlot }} SendingPart */

export class FileSender {
  #bucket;
  #checksums;
  #concurrency;
  // How many files were begun: the earlier ones go first.
  #begun = 0;

  /** @param {FileSenderOptions} options */
  constructor({ bucket, checksums, concurrency }) {
    this.#bucket = bucket;
    this.#checksums = checksums;
    this.#concurrency = concurrency;
  }

  // Send all bytes. Gives what `complete` needs. `item` is {file, started, replaces}; onProgress gets the bytes that S3 has.
  /** @param {SendableItem} item @param {SendOptions} options @returns {Promise<SentBytes>} */
  async send(item, options) {
    try {
      return await (item.started.upload_id ? this.#inParts(item, options) : this.#atOnce(item, options));
    } catch (error) {
      throw inOurTerms(error, item);
    }
  }

  // Have S3 put the parts together. Gives {checksum, md5, etag} of the whole; no MD5 where there were parts.
  /** @param {SendableItem} item @param {SentBytes} sent @param {SendOptions} options @returns {Promise<UploadProof>} */
  async complete(item, sent, options) {
    const { parts } = sent;
    if (!parts) return { checksum: toBase64(sent.crc), md5: sent.md5, etag: sent.etag };
    const checksum = toBase64(sent.crc);
    options.watch("Putting the parts together");
    const headers = {
      "x-amz-checksum-crc32": checksum,
      "x-amz-checksum-type": "FULL_OBJECT",
      "x-amz-mp-object-size": String(item.file.size),
      ...condition(item),
    };
    try {
      const work = () =>
        this.#bucket.complete(item.started.key, item.started.upload_id, parts, { headers, signal: options.signal });
      const { etag } = await persist(work, this.#care(item, options));
      return { checksum, etag };
    } catch (error) {
      // The answer to an earlier try may have been lost on the way.
      const found = isThere(error) || error.code === "NoSuchUpload" ? await this.#bucket.head(item.started.key) : null;
      if (found?.crc32 === checksum && found.size === item.file.size) return { checksum, etag: /** @type {string} */ (found.etag) };
      // S3 wants all parts again after a conflict (API reference, CompleteMultipartUpload).
      if (isConflict(error)) throw new Forgotten(MEANWHILE);
      throw inOurTerms(error, item);
    }
  }

  /** @param {SendableItem} item @param {Pick<SendOptions, "signal" | "watch">} options */
  #care(item, { signal, watch }) {
    return {
      signal,
      watch,
      renew: () => this.#bucket.forget(),
      onSlow: () => this.#concurrency.tooMany(),
      checkFile: check(item.file),
    };
  }

  // A small file got through, also where S3 has one of its name: of a folder that was sent before, all are answered so.
  /** @param {SendableItem} item */
  #answered({ file, started }) {
    this.#concurrency.arrived(file.size, "small");
    this.#tryAnother(started.key);
  }

  // What got no answer under another of S3's names goes again under the bucket's own.
  /** @param {HeldSlot} slot */
  #elsewhere(slot) {
    /** @param {any} error */
    const goesElsewhere = (error) => {
      if (!(error.isConnection || error.isRedirect) || !this.#concurrency.hosts.lost(slot.host)) return false;
      slot.host = OWN;
      return true;
    };
    return { goesElsewhere };
  }

  // While requests wait, one small request tells whether S3 answers under another of its names. Nothing waits for it.
  /** @param {string} key */
  async #tryAnother(key) {
    const { hosts, isFull } = this.#concurrency;
    const address = isFull ? hosts.toTry() : null;
    if (!address) return;
    try {
      await this.#bucket.list({ prefix: key, delimiter: "", max: 1, address });
      hosts.proved(address);
    } catch {
      hosts.lost(address);
    }
  }

  /** @param {SendableItem} item @param {SendOptions} options @returns {Promise<SentBytes>} */
  async #atOnce(item, options) {
    const { file, started } = item;
    const order = this.#begun++;
    // Before it has a slot, in which the link would wait for it.
    const { crc, md5, bytes } = await this.#checksums.read(file);
    const slot = await this.#concurrency.take(options.signal, { kind: "small", bytes: file.size, order });
    try {
      options.onTaken();
      const headers = {
        "content-type": file.type || "application/octet-stream",
        "x-amz-checksum-crc32": toBase64(crc),
        ...condition(item),
      };
      const put = () => this.#bucket.put(started.key, bytes ?? file, { headers, signal: options.signal, address: slot.host });
      const header = await persist(put, { ...this.#care(item, options), ...this.#elsewhere(slot), conflicts: true });
      this.#answered(item);
      options.onProgress(file.size);
      return { crc, md5, etag: header("etag") };
    } catch (error) {
      if (isThere(error)) this.#answered(item);
      throw error;
    } finally {
      slot.give();
    }
  }

  /** @param {SendableItem} item @param {SendOptions} options @returns {Promise<SentBytes>} */
  async #inParts(item, options) {
    const { file, started } = item;
    const order = this.#begun++;
    const here = new AbortController();
    const stop = () => here.abort();
    options.signal.addEventListener("abort", stop, { once: true });
    const inner = { ...options, signal: here.signal };
    const known = await this.#known(item, inner);
    const progress = new Progress(options.onProgress, (bytes) => this.#concurrency.arrived(bytes, "part"));
    /** @type {SentPart[]} */
    const parts = [];
    /** @type {Promise<unknown>[]} */
    const sending = [];
    /** @type {Error[]} */
    const failed = [];
    let whole = 0;
    try {
      for await (const { number, blob, crc } of this.#pieces(file, started.part_size)) {
        whole = number === 1 ? crc : combine(whole, crc, blob.size);
        const there = known.get(number);
        if (there && isSame(there, blob, crc)) {
          parts.push({ number, etag: there.etag, crc32: there.crc32 });
          progress.known(blob.size);
          continue;
        }
        const slot = await this.#concurrency.take(here.signal, { kind: "part", bytes: blob.size, order });
        const part = { number, blob, crc32: toBase64(crc), item, slot };
        sending.push(
          this.#part(part, inner, progress)
            .then(
              (etag) => parts.push({ number, etag, crc32: part.crc32 }),
              (error) => {
                failed.push(error);
                here.abort();
              },
            )
            .finally(slot.give),
        );
      }
      options.onTaken();
      await Promise.all(sending);
    } catch (error) {
      await Promise.allSettled(sending);
      if (!failed.length) throw error;
    } finally {
      options.signal.removeEventListener("abort", stop);
    }
    if (failed.length) throw failed[0];
    return { crc: whole, parts: parts.sort((a, b) => a.number - b.number) };
  }

  // The parts of a file in their order, each with its checksum. Those of the next ones are worked out meanwhile.
  /** @param {File} file @param {number} size */
  async *#pieces(file, size) {
    /** @type {{ number: number, blob: Blob, crc: Promise<number> }[]} */
    const ahead = [];
    let at = 0;
    const begin = () => {
      const blob = file.slice(at, at + size);
      const crc = this.#checksums.of(blob);
      // Whoever stops before its turn leaves it unread.
      crc.catch(() => {});
      ahead.push({ number: at / size + 1, blob, crc });
      at += size;
    };
    while (at < file.size || ahead.length) {
      while (at < file.size && ahead.length < READ_AHEAD) begin();
      const piece = ahead.shift();
      if (piece) yield { ...piece, crc: await piece.crc };
    }
  }

  // The parts that S3 has of an upload that goes on.
  /** @param {SendableItem} item @param {SendOptions} options @returns {Promise<Map<number, S3Part>>} */
  async #known(item, options) {
    if (!item.started.is_resumed) return new Map();
    options.watch("Looking at what S3 has of it");
    const { key, upload_id: uploadId } = item.started;
    return persist(() => this.#bucket.parts(key, uploadId, options.signal), this.#care(item, options));
  }

  /** @param {SendingPart} part @param {SendOptions} options @param {Progress} progress */
  async #part({ number, blob, crc32, item, slot }, options, progress) {
    const query = { partNumber: String(number), uploadId: item.started.upload_id };
    const put = () =>
      this.#bucket.put(item.started.key, blob, {
        query,
        headers: { "x-amz-checksum-crc32": crc32 },
        signal: options.signal,
        address: slot.host,
        onProgress: (bytes) => progress.flying(number, bytes),
      });
    const header = await persist(put, { ...this.#care(item, options), ...this.#elsewhere(slot) });
    progress.done(number, blob.size);
    this.#tryAnother(item.started.key);
    return header("etag");
  }
}

// The bytes of one file that have left, part by part: a part that is tried again counts anew.
class Progress {
  #report;
  #moved;
  #finished = 0;
  /** @type {Map<number, number>} */
  #flying = new Map();

  // `moved` gets what has left since it was last told.
  /** @param {(bytes: number) => void} report @param {(bytes: number) => void} moved */
  constructor(report, moved) {
    this.#report = report;
    this.#moved = moved;
  }

  // S3 had a part of so many bytes before.
  /** @param {number} bytes */
  known(bytes) {
    this.#finished += bytes;
    this.#tell();
  }

  /** @param {number} number @param {number} bytes */
  flying(number, bytes) {
    const moved = bytes - (this.#flying.get(number) ?? 0);
    this.#flying.set(number, bytes);
    if (moved > 0) this.#moved(moved);
    this.#tell();
  }

  /** @param {number} number @param {number} bytes */
  done(number, bytes) {
    this.flying(number, bytes);
    this.#flying.delete(number);
    this.#finished += bytes;
  }

  #tell() {
    let bytes = this.#finished;
    for (const flying of this.#flying.values()) bytes += flying;
    this.#report(bytes);
  }
}
