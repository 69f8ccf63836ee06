// Uppy has files chosen and shows the list. It sends nothing itself, tries nothing again and does not decide what is done: that is ours.
import { Dashboard, Uppy } from "../vendor/uppy/uppy.min.mjs";
import { visible } from "../cohort/visible.js";
import { isBusy, pathOf } from "./batch.js";
import { readDropped } from "./entries.js";

/** @type {Set<UploadState>} */
const SENT = new Set(["complete", "same", "kept"]);

/** @param {UploadItem} item */
const bytesOf = (item) => {
  if (SENT.has(item.state)) return item.file.size;
  return isBusy(item) ? (item.sent ?? 0) : 0;
};
/** @param {number} bytes @param {number} total */
const percentOf = (bytes, total) => (total ? Math.floor((100 * bytes) / total) : 0);

// What Uppy's surface says of a file that was chosen.
/** @typedef {{ name?: string, data: File, source?: string, meta?: { relativePath?: string | null } }} ChosenFile */
/**
 * @typedef {object} Acts
 * @property {(file: File, path: string) => UploadItem | null} take Null where one of its name is on its way.
 * @property {() => void} start
 * @property {(id: string) => void} retry
 * @property {() => void} retryAll
 */

// Uppy's button for sending, and those for trying again, do what `acts` says.
export class Chooser extends Uppy {
  #acts;

  /** @param {Record<string, unknown>} options @param {Acts} acts */
  constructor(options, acts) {
    super({ autoProceed: false, ...options });
    this.#acts = acts;
    // Uppy shows buttons for pausing where it believes that uploads can go on.
    this.setState({ capabilities: { ...this.getState().capabilities, resumableUploads: true, individualCancellation: true } });
  }

  // Take these files into the list, under our ids. Uppy's own way copies the list for each: ten thousand took it half a minute.
  /** @param {any[]} chosen */
  addFiles(chosen) {
    const files = { ...this.getState().files };
    const added = chosen.map((/** @type {ChosenFile} */ one) => this.#taken(one)).filter((file) => file !== null);
    for (const file of added) files[file.id] = file;
    this.setState({ files });
    for (const file of added) this.emit("file-added", file);
    this.emit("files-added", added);
  }

  /** @param {ChosenFile} chosen @returns {UppyFile | null} */
  #taken({ data, source = "", name = data.name, meta = {} }) {
    const item = this.#acts.take(data, pathOf(name, meta.relativePath));
    if (!item) return null;
    const { type, size } = data;
    return {
      source,
      id: item.id,
      name,
      extension: /\.([^./]+)$/.exec(name)?.[1] ?? "",
      // Our id is the whole key, case and all; Uppy's own takes files for the same whose paths differ in case alone.
      meta: { name: visible(item.id), type, relativePath: meta.relativePath ?? undefined },
      type,
      size,
      data,
      progress: { percentage: 0, bytesUploaded: false, bytesTotal: size, uploadComplete: false, uploadStarted: null },
      isGhost: false,
      isRemote: false,
      preview: undefined,
    };
  }

  async upload() {
    this.#acts.start();
    return undefined;
  }
  async retryAll() {
    this.#acts.retryAll();
    return undefined;
  }
  /** @param {string} id */
  async retryUpload(id) {
    this.#acts.retry(id);
    return undefined;
  }

  // What Uppy's bar goes by. A file that needs the person is neither under way nor done.
  getObjectOfFilesPerState() {
    const files = super.getObjectOfFilesPerState();
    const isTroubled = files.erroredFiles.length > 0;
    return {
      ...files,
      completeFiles: files.completeFiles.filter((file) => !file.error),
      isAllComplete: files.isAllComplete && !isTroubled,
      isAllErrored: isTroubled && !files.newFiles.length && !files.isUploadInProgress,
    };
  }

  // Draw these items as they are now, all with one change of Uppy's state: it copies its whole list for each.
  /** @param {UploadItem[]} items @param {{ percent: number, error: string | null }} state */
  draw(items, { percent, error }) {
    const { files } = this.getState();
    const drawn = items
      .filter((item) => files[item.id])
      .map((item) => [item.id, { ...files[item.id], ...this.#look(item, files[item.id]) }]);
    this.setState({ files: { ...files, ...Object.fromEntries(drawn) }, totalProgress: percent, error });
  }

  // The same file under another id, where it was in the list.
  /** @param {string} before @param {UploadItem} item */
  rename(before, item) {
    const files = Object.entries(this.getState().files).filter(([id]) => id !== item.id);
    const renamed = files.map(([id, file]) =>
      id === before ? [item.id, { ...file, id: item.id, meta: { ...file.meta, name: visible(item.id) } }] : [id, file],
    );
    this.setState({ files: Object.fromEntries(renamed) });
  }

  /** @param {UploadItem} item @param {UppyFile} file */
  #look(item, file) {
    const { progress } = file;
    if (item.state === "chosen") return {};
    const bytesTotal = item.file.size;
    const isOver = !isBusy(item);
    const bytesUploaded = bytesOf(item);
    const percentage = isOver ? 100 : percentOf(bytesUploaded, bytesTotal);
    return {
      progress: {
        ...progress,
        uploadStarted: progress.uploadStarted ?? Date.now(),
        uploadComplete: isOver,
        complete: isOver,
        percentage,
        bytesUploaded,
        bytesTotal,
      },
      error: isOver && !SENT.has(item.state) ? item.message : null,
      isPaused: item.state === "paused",
    };
  }
}

// Uppy's surface, with a reader of ours for what is dropped. `onUnreadable` is told of what could not be read.
export class Surface extends /** @type {any} */ (Dashboard) {
  // The name is that of Uppy's own, which is private to its types.
  handleDrop = async (/** @type {any} */ event) => {
    event.preventDefault();
    event.stopPropagation();
    this.setPluginState({ isDraggingOver: false });
    const { files, unreadable } = await readDropped(event.dataTransfer);
    for (const one of unreadable) this.opts.onUnreadable(one);
    for (const { file, path } of files) Object.assign(file, { relativePath: path.includes("/") ? path : null });
    if (files.length) this.addFiles(files.map(({ file }) => file));
  };
}
