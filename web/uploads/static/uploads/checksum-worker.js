// Works out checksums of files and of their pieces, away from the page. The first message names the scripts with the algorithms.
/** @typedef {{ init(): Hasher, update(bytes: Uint8Array): Hasher, digest(form: "hex"): string }} Hasher */
/** @type {any} */
const worker = self;
const SMALL = 1024 * 1024;
const ROOM = 1024 * 1024;
/** @type {Promise<Hasher>} */
let crc32;
/** @type {Promise<Hasher>} */
let md5;

// The bytes of a blob, a little at a time, always in the same room: what is left behind would be collected too late. Safari
// has no such readers of files, and gives each piece a room of its own.
/** @param {ReadableStream<Uint8Array<ArrayBuffer>>} stream @returns {() => Promise<ReadableStreamReadResult<Uint8Array>>} */
const readerOf = (stream) => {
  try {
    const reader = stream.getReader({ mode: "byob" });
    let room = new ArrayBuffer(ROOM);
    return async () => {
      const piece = await reader.read(new Uint8Array(room));
      if (piece.value) room = piece.value.buffer;
      return piece;
    };
  } catch {
    const reader = stream.getReader();
    return () => reader.read();
  }
};

/** @param {Promise<Hasher>} algorithm @param {Uint8Array} bytes */
const digest = async (algorithm, bytes) => (await algorithm).init().update(bytes).digest("hex");

// The CRC-32 of a blob. Where it is small enough to be held whole: its bytes too, which need not be read a second time, and their
// MD5, which is what S3 tells of each object in a listing.
/** @param {Blob} blob */
const read = async (blob) => {
  if (blob.size <= SMALL) {
    const bytes = await blob.arrayBuffer();
    const view = new Uint8Array(bytes);
    return { crc: Number.parseInt(await digest(crc32, view), 16), md5: await digest(md5, view), bytes };
  }
  const hasher = (await crc32).init();
  const next = readerOf(blob.stream());
  // Kept where it is always found: Chromium collects a reader that only its own next answer would lead to, and then that never comes.
  worker.reading = next;
  for (let piece = await next(); !piece.done; piece = await next()) hasher.update(piece.value);
  return { crc: Number.parseInt(hasher.digest("hex"), 16), md5: "", bytes: null };
};

let last = Promise.resolve();
worker.onmessage = (/** @type {MessageEvent} */ { data }) => {
  if (data.scripts) {
    worker.importScripts(...data.scripts);
    crc32 = worker.hashwasm.createCRC32();
    md5 = worker.hashwasm.createMD5();
    return;
  }
  // One after another: they share the hashers.
  last = last.then(async () => {
    try {
      const found = await read(data.blob);
      worker.postMessage({ id: data.id, ...found }, found.bytes ? [found.bytes] : []);
    } catch (error) {
      worker.postMessage({ id: data.id, error: error.name || "Error" });
    }
  });
};
