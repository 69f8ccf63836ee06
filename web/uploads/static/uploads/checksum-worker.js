// Works out the CRC-32 of pieces of files, away from the page. The first message names the script that holds the algorithm.
const SMALL = 1024 * 1024;
const ROOM = 1024 * 1024;
let ready = null;

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

// The checksum of a blob, and its bytes where it is small enough to be held whole: they need not be read a second time.
const read = async (blob) => {
  const hasher = await ready;
  hasher.init();
  const bytes = blob.size <= SMALL ? await blob.arrayBuffer() : null;
  if (bytes) {
    hasher.update(new Uint8Array(bytes));
  } else {
    const next = readerOf(blob.stream());
    for (let piece = await next(); !piece.done; piece = await next()) hasher.update(piece.value);
  }
  return { crc: Number.parseInt(hasher.digest("hex"), 16), bytes };
};

let last = Promise.resolve();
self.onmessage = ({ data }) => {
  if (data.script) {
    importScripts(data.script);
    ready = self.hashwasm.createCRC32();
    return;
  }
  // One after another: they share the hasher.
  last = last.then(async () => {
    try {
      const { crc, bytes } = await read(data.blob);
      self.postMessage({ id: data.id, crc, bytes }, bytes ? [bytes] : []);
    } catch (error) {
      self.postMessage({ id: data.id, error: error.name || "Error" });
    }
  });
};
