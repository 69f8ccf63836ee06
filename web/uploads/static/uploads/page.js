// The upload page: Uppy's dashboard in front, our own sending behind it.
import { Dashboard, Uppy } from "../vendor/uppy/uppy.min.mjs";
import { Checksums } from "./checksums.js";
import { Control } from "./control.js";
import { Notes } from "./notes.js";
import { Queue } from "./queue.js";
import { Bucket } from "./s3.js";
import { Sender } from "./sending.js";
import { keepSizes } from "./sizes.js";
import { Slots } from "./slots.js";
import { Speed, inWords } from "./speed.js";
import { followUnfinished } from "./unfinished.js";

// How often a file's progress is drawn. Drawing thousands of files takes time that sending could use.
const DRAW_EVERY_MS = 400;
const TELL_AFTER_MS = 1000;
const SETTLED = new Set(["complete", "same", "asks", "failed", "removed"]);

const section = document.getElementById("upload");
const { base, worker, crc32, md5 } = section.dataset;
const folderField = document.getElementById("upload-folder");
const control = new Control(base, section.querySelector("[name=csrfmiddlewaretoken]").value);
const bucket = new Bucket(() => control.session());
const checksums = new Checksums(worker, [crc32, md5]);
const sender = new Sender({ bucket, checksums, slots: new Slots() });
const items = new Map();
let drawLine = null;
const speed = new Speed();
const speedField = section.querySelector("[data-speed]");
const queue = new Queue({ control, sender, bucket, checksums, tell });

const uppy = new Uppy({ id: "upload", autoProceed: false, allowMultipleUploadBatches: true });
// Uppy shows buttons for pausing where it believes that uploads can go on.
uppy.setState({ capabilities: { ...uppy.getState().capabilities, resumableUploads: true, individualCancellation: true } });
uppy.use(Dashboard, {
  target: "#upload-drop",
  inline: true,
  width: "100%",
  height: 420,
  theme: "auto",
  fileManagerSelectionType: "both",
  proudlyDisplayPoweredByUppy: false,
  disableThumbnailGenerator: true,
  // What needs the person is said below, in whole sentences.
  disableInformer: true,
  singleFileFullScreen: false,
  note: "Files and whole folders, up to 5 TB each. Names are kept. What is there already is not sent again.",
});

// Where there is one file alone, Uppy leaves out what tells a screen reader that it is a list.
const drop = document.getElementById("upload-drop");
new MutationObserver(() => {
  for (const list of drop.querySelectorAll(".uppy-Dashboard-files:not([role])")) list.setAttribute("role", "list");
}).observe(drop, { childList: true, subtree: true });

keepSizes(uppy, drop);

const notes = new Notes(document.getElementById("upload-notes"), {
  replace: (item) => again(item, () => { item.replaces = item.existing.etag; }),
  keep: (item) => { queue.decide(item, false); uppy.removeFile(item.id); },
  retry: (item) => again(item, () => {}),
  leave: (item) => uppy.removeFile(item.id),
});

const again = (item, prepare) => {
  prepare();
  uppy.retryUpload(item.id).catch((error) => notes.say(error.message));
};

// Uppy hands over what is to be sent, and waits for the promise.
uppy.addUploader(async (ids) => {
  const fresh = ids.map((id) => uppy.getFile(id)).filter((file) => file && !file.progress.uploadComplete).map(itemFor);
  const settled = fresh.map((item) => new Promise((resolve) => { item.settled = resolve; }));
  uppy.emit("upload-start", fresh.map((item) => uppy.getFile(item.id)));
  queue.add(fresh);
  await Promise.all(settled);
});

const itemFor = (file) => {
  const known = items.get(file.id);
  const item = known ?? { id: file.id, file: file.data, path: file.meta.relativePath || file.name, folder: folderField.value };
  item.path = item.path.replace(/^\//, "");
  items.set(file.id, item);
  return item;
};

// Something about an item changed: draw it, now or soon.
function tell(item) {
  const now = performance.now();
  if (item.lastState !== item.state) {
    item.drawnAt = now;
    changed(item);
  }
  item.lastState = item.state;
  if (item.state === "sending" && now - item.drawnAt > DRAW_EVERY_MS) {
    item.drawnAt = now;
    draw(item, item.sent);
  }
  drawLine ??= setTimeout(() => {
    drawLine = null;
    notes.line(items.values());
    showSpeed();
  }, DRAW_EVERY_MS / 2);
}

const showSpeed = () => {
  let bytes = 0;
  for (const item of items.values()) bytes += item.sent ?? 0;
  const rate = isBusy() ? speed.take(bytes, performance.now()) : speed.stop();
  speedField.textContent = rate ? inWords(rate) : "";
};

const draw = (item, bytes) => {
  const file = uppy.getFile(item.id);
  if (file) uppy.emit("upload-progress", file, { uploadStarted: file.progress.uploadStarted ?? Date.now(), bytesUploaded: bytes, bytesTotal: item.file.size });
};

const changed = (item) => {
  const file = uppy.getFile(item.id);
  notes.about(item);
  if (!SETTLED.has(item.state)) return;
  if (item.state === "complete" || item.state === "same") {
    showArrived(item);
  } else {
    if (file && item.state !== "removed") uppy.emit("upload-error", file, new Error(item.message));
    item.settled?.();
  }
  if (item.state === "complete") announce(item);
};

// Uppy copies its whole list for each file that it is told of: it is told of many at once.
let toShow = [];
const showArrived = (item) => {
  if (!toShow.length) setTimeout(flushArrived, isBusy() ? DRAW_EVERY_MS : 0);
  toShow.push(item);
};
const flushArrived = () => {
  const shown = toShow;
  toShow = [];
  const files = shown.map((item) => uppy.getFile(item.id)).filter(Boolean);
  uppy.patchFilesState(Object.fromEntries(files.slice(1).map(({ id, progress }) => [id, {
    progress: { ...progress, uploadComplete: true, complete: true, percentage: 100, bytesUploaded: progress.bytesTotal }, isPaused: false,
  }])));
  // One as Uppy has it, for whatever else it does then.
  if (files.length) uppy.emit("upload-success", files[0], { status: 200, body: {}, uploadURL: undefined });
  for (const item of shown) item.settled?.();
};

// Others on the page (the file browser) hear of what arrived, a second's worth at a time.
let arrived = [];
const announce = (item) => {
  if (!arrived.length) {
    setTimeout(() => {
      document.dispatchEvent(new CustomEvent("cohort:uploaded", { detail: { keys: arrived } }));
      arrived = [];
      listUnfinished();
    }, TELL_AFTER_MS);
  }
  arrived.push(item.started.key);
};

uppy.on("upload-pause", (file, isPaused) => {
  const item = file && items.get(file.id);
  if (!item) return;
  if (isPaused) queue.pause(item);
  else queue.resume(item);
});
uppy.on("pause-all", () => {
  queue.pauseAll();
  for (const item of items.values()) queue.pause(item);
});
uppy.on("resume-all", () => {
  queue.resumeAll();
  for (const item of items.values()) if (item.state === "paused") queue.resume(item);
});
uppy.on("file-removed", (file) => {
  const item = items.get(file.id);
  if (!item) return;
  items.delete(file.id);
  queue.remove(item).then(listUnfinished, (error) => notes.say(error.message));
});

const isBusy = () => [...items.values()].some((item) => !SETTLED.has(item.state));
window.addEventListener("beforeunload", (event) => {
  if (isBusy()) event.preventDefault();
});

// A machine that falls asleep sends nothing. Browsers let the lock go when the page is hidden.
const stayAwake = () => {
  if (isBusy() && document.visibilityState === "visible") navigator.wakeLock?.request("screen").catch(() => {});
};
uppy.on("upload", stayAwake);
document.addEventListener("visibilitychange", stayAwake);

document.addEventListener("cohort:path", ({ detail }) => {
  if (/^(inputs|configs|submissions)\//.test(detail.path)) folderField.value = detail.path;
});
// Uppy’s own "complete" does not come after every answer and every file taken out. While files are sent nobody needs the list.
let listing = null;
function listUnfinished() {
  listing ??= setTimeout(() => {
    listing = null;
    if (!isBusy()) document.body.dispatchEvent(new CustomEvent("cohort:unfinished"));
  }, TELL_AFTER_MS);
}
uppy.on("complete", listUnfinished);

// The same file in another folder would be another file: nothing would go on.
const goOn = (folder) => {
  folderField.value = folder;
  section.scrollIntoView();
  drop.querySelector("button")?.focus();
};
const isMine = (id) => [...items.values()].some((item) => item.started?.id === id && !SETTLED.has(item.state));
followUnfinished(document.getElementById("upload-unfinished"), { bucket, control, isMine, goOn });
section.dataset.ready = "true";
