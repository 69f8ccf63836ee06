// Works out the CRC-32 of pieces of files, away from the page. The first message names the script that holds the algorithm.
const PIECE = 1024 * 1024;
let ready = null;

const crc = async (blob) => {
  const hasher = await ready;
  hasher.init();
  // A megabyte at a time, so that a large part is never held whole.
  for (let at = 0; at < blob.size; at += PIECE) hasher.update(new Uint8Array(await blob.slice(at, at + PIECE).arrayBuffer()));
  return Number.parseInt(hasher.digest("hex"), 16);
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
      self.postMessage({ id: data.id, crc: await crc(data.blob) });
    } catch (error) {
      self.postMessage({ id: data.id, error: error.name || "Error" });
    }
  });
};
