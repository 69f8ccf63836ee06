// Uppy has files chosen and shows the list. It sends nothing itself, tries nothing again and does not decide what is done: that is ours.
import { Dashboard, Uppy } from "../vendor/uppy/uppy.min.mjs";
import { visible } from "../cohort/visible.js";
import { isBusy, pathOf } from "./batch.js";
import { readDropped } from "./entries.js";

const SENT = new Set(["complete", "same", "kept"]);

const bytesOf = (item) => {
  if (SENT.has(item.state)) return item.file.size;
  return isBusy(item) ? (item.sent ?? 0) : 0;
};
const percentOf = (bytes, total) => (total ? Math.floor((100 * bytes) / total) : 0);

// Uppy's button for sending, and those for trying again, do what `acts` says: {start(), retry(id), retryAll()}.
export class Chooser extends Uppy {
  #acts;

  constructor(options, acts) {
    super({ autoProceed: false, ...options });
    this.#acts = acts;
    // Uppy shows buttons for pausing where it believes that uploads can go on.
    this.setState({ capabilities: { ...this.getState().capabilities, resumableUploads: true, individualCancellation: true } });
  }

  async upload() {
    this.#acts.start();
  }
  async retryAll() {
    this.#acts.retryAll();
  }
  async retryUpload(id) {
    this.#acts.retry(id);
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
  draw(items, { percent, error }) {
    const { files } = this.getState();
    const drawn = items
      .filter((item) => files[item.id])
      .map((item) => [item.id, { ...files[item.id], ...this.#look(item, files[item.id]) }]);
    this.setState({ files: { ...files, ...Object.fromEntries(drawn) }, totalProgress: percent, error });
  }

  // The same file under another id, where it was in the list.
  rename(before, item) {
    const files = Object.entries(this.getState().files).filter(([id]) => id !== item.id);
    const renamed = files.map(([id, file]) =>
      id === before ? [item.id, { ...file, id: item.id, meta: { ...file.meta, name: visible(item.id) } }] : [id, file],
    );
    this.setState({ files: Object.fromEntries(renamed) });
  }

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
export class Surface extends Dashboard {
  handleDrop = async (event) => {
    event.preventDefault();
    event.stopPropagation();
    this.setPluginState({ isDraggingOver: false });
    const { files, unreadable } = await readDropped(event.dataTransfer);
    for (const one of unreadable) this.opts.onUnreadable(one);
    for (const { file, path } of files) file.relativePath = path.includes("/") ? path : null;
    if (files.length) this.addFiles(files.map(({ file }) => file));
  };
}

export const pathIn = (file) => pathOf(file.name, file.meta.relativePath);
