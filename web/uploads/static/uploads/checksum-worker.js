// Works out checksums of files and of their pieces, away from the page. The first message names the scripts with the algorithms.
const SMALL = 1024 * 1024;
const ROOM = 1024 * 1024;
let crc32 = null;
let md5 = null;

// The bytes of a blob, a little at a time, always in the same room: what is left behind would be collected too late. Safari
// has no such readers of files, and gives each piece a room of its own.
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

const digest = async (algorithm, bytes) => (await algorithm).init().update(bytes).digest("hex");

// The CRC-32 of a blob. Where it is small enough to be held whole: its bytes too, which need not be read a second time, and their
// MD5, which is what S3 tells of each object in a listing.
const read = async (blob) => {
  if (blob.size <= SMALL) {
    const bytes = await blob.arrayBuffer();
    const view = new Uint8Array(bytes);
    return { crc: Number.parseInt(await digest(crc32, view), 16), md5: await digest(md5, view), bytes };
  }
  const hasher = (await crc32).init();
  const next = readerOf(blob.stream());
  for (let piece = await next(); !piece.done; piece = await next()) hasher.update(piece.value);
  return { crc: Number.parseInt(hasher.digest("hex"), 16), md5: "", bytes: null };
};

let last = Promise.resolve();
self.onmessage = ({ data }) => {
  if (data.scripts) {
    importScripts(...data.scripts);
    crc32 = self.hashwasm.createCRC32();
    md5 = self.hashwasm.createMD5();
    return;
  }
  // One after another: they share the hashers.
  last = last.then(async () => {
    try {
      const found = await read(data.blob);
      self.postMessage({ id: data.id, ...found }, found.bytes ? [found.bytes] : []);
    } catch (error) {
      self.postMessage({ id: data.id, error: error.name || "Error" });
    }
  });
};
