// What was dropped on the page, folders and all. Uppy's own reader gives a whole folder up at the first file in it that cannot be read.

/** @typedef {{ files: { file: File, path: string }[], unreadable: { path: string, reason: string }[] }} Dropped */

/** @param {FileSystemEntry} entry */
const nameOf = (entry) => entry.name || "(a name that the browser cannot read)";
/** @param {FileSystemFileEntry} entry @returns {Promise<File>} */
const file = (entry) =>
  new Promise((resolve, reject) => {
    entry.file(resolve, reject);
  });
/** @param {FileSystemDirectoryReader} reader @returns {Promise<FileSystemEntry[]>} */
const someOf = (reader) =>
  new Promise((resolve, reject) => {
    reader.readEntries(resolve, reject);
  });

/** @param {FileSystemEntry} entry @param {string} parent @param {Dropped} found */
const walk = async (entry, parent, found) => {
  const path = parent + nameOf(entry);
  try {
    if (entry.isDirectory) await walkAll(/** @type {FileSystemDirectoryEntry} */ (entry).createReader(), `${path}/`, found);
    else found.files.push({ file: await file(/** @type {FileSystemFileEntry} */ (entry)), path });
  } catch (error) {
    found.unreadable.push({ path, reason: error.message });
  }
};

// A reader gives some at a time, and in the end none.
/** @param {FileSystemDirectoryReader} reader @param {string} parent @param {Dropped} found */
const walkAll = async (reader, parent, found) => {
  for (let some = await someOf(reader); some.length; some = await someOf(reader)) {
    for (const entry of some) await walk(entry, parent, found);
  }
};

// Gives {files: [{file, path}], unreadable: [{path, reason}]} of a DataTransfer.
/** @param {DataTransfer} transfer */
export const readDropped = async (transfer) => {
  /** @type {Dropped} */
  const found = { files: [], unreadable: [] };
  // Browsers tell what was dropped only while the event is being handled.
  const dropped = [...transfer.items]
    .filter(({ kind }) => kind === "file")
    .map((item) => ({ entry: item.webkitGetAsEntry?.(), whole: item.getAsFile() }));
  for (const { entry, whole } of dropped) {
    if (entry) await walk(entry, "", found);
    // What is no entry came from another program, or is a link that leads nowhere: that is a file without bytes.
    else if (whole?.size || (whole && entry === undefined)) found.files.push({ file: whole, path: whole.name });
    else if (whole) found.unreadable.push({ path: whole.name, reason: "It leads to no file, or to an empty one." });
  }
  return found;
};
