// What was listed of one folder, held small: a hundred thousand files are a list of names and two arrays of numbers.
import { visible } from "../cohort/visible.js";

const FIRST_ROOM = 1024;

/** @param {Float64Array<ArrayBuffer>} old */
const wider = (old) => {
  const room = new Float64Array(old.length * 2);
  room.set(old);
  return room;
};

/** @param {string} name */
const isMarker = (name) => name === "" || name.endsWith("/");

// A row's name as people read it.
/** @param {Pick<Row, "name" | "isFolder" | "isMarker">} row */
export const labelOf = ({ name, isFolder, isMarker: is }) => {
  const shown = visible(name);
  if (is) return name ? `${shown} (content of the folder’s marker)` : "(content of this folder’s marker)";
  return (isFolder ? shown.slice(0, -1) : shown) || "(no name)";
};

export class ListingStore {
  /** @type {string[]} */
  folders = [];
  /** @type {string[]} */
  names = [];
  sizes = new Float64Array(FIRST_ROOM);
  times = new Float64Array(FIRST_ROOM);
  bytes = 0;

  // Names are relative to the folder. Those of folders end with a slash, and so do those of folders' markers that have
  // content; that of the folder on show is empty.
  /** @param {Pick<S3Object & { name: string }, "name" | "size" | "modified">[]} files @param {string[]} folders */
  add(files, folders) {
    for (const { name, size, modified } of files) {
      const index = this.names.length;
      if (index === this.sizes.length) {
        this.sizes = wider(this.sizes);
        this.times = wider(this.times);
      }
      this.names.push(name);
      this.sizes[index] = size;
      this.times[index] = Date.parse(modified);
      this.bytes += size;
    }
    this.folders.push(...folders);
  }

  // Take these names away, as after deleting them.
  /** @param {Set<string>} gone */
  remove(gone) {
    let kept = 0;
    this.names.forEach((name, index) => {
      if (gone.has(name)) {
        this.bytes -= this.sizes[index];
      } else {
        this.names[kept] = name;
        this.sizes[kept] = this.sizes[index];
        this.times[kept] = this.times[index];
        kept += 1;
      }
    });
    this.names.length = kept;
    this.folders = this.folders.filter((name) => !gone.has(name));
  }

  // The folders and the files' numbers in the order wanted, and how many can be chosen: a marker comes and goes with its folder.
  // S3 lists by name already, so that order costs nothing and stays as it is while more arrives.
  /** @param {Pick<FilesState, "query" | "by" | "down">} wanted @returns {ListingView} */
  view({ query, by, down }) {
    const wanted = query.toLowerCase();
    /** @param {string} name */
    const fits = (name) => !wanted || name.toLowerCase().includes(wanted);
    const files = this.#matching(fits);
    const folders = this.folders.filter(fits);
    if (by !== "name") this.#sort(files, by, down);
    else if (down) {
      files.reverse();
      folders.reverse();
    }
    const length = folders.length + files.length;
    const markers = files.reduce((number, index) => number + (isMarker(this.names[index]) ? 1 : 0), 0);
    return { folders, files, length, choosable: length - markers };
  }

  // The numbers of the files whose names fit.
  /** @param {(name: string) => boolean} fits */
  #matching(fits) {
    const files = new Uint32Array(this.names.length);
    let found = 0;
    for (let index = 0; index < this.names.length; index += 1) {
      if (fits(this.names[index])) {
        files[found] = index;
        found += 1;
      }
    }
    return files.subarray(0, found);
  }

  /** @param {Uint32Array} files @param {SortColumn} by @param {boolean} down */
  #sort(files, by, down) {
    const of = by === "size" ? this.sizes : this.times;
    files.sort(down ? (one, other) => of[other] - of[one] : (one, other) => of[one] - of[other]);
  }

  // Row number `index` of a view.
  /** @param {Pick<ListingView, "folders" | "files">} view @param {number} index @returns {Row} */
  row({ folders, files }, index) {
    if (index < folders.length) return { name: folders[index], isFolder: true, isMarker: false };
    const file = files[index - folders.length];
    const name = this.names[file];
    return { name, size: this.sizes[file], time: this.times[file], isFolder: false, isMarker: isMarker(name) };
  }
}
