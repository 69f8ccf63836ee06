// The upload page: Uppy has files chosen and shows them; the sender sends them, and its batch knows what became of each.
import { visible } from "../cohort/visible.js";
import { asFolder } from "./batch.js";
import { Checksums } from "./checksums.js";
import { Chooser, Surface } from "./chooser.js";
import { Api } from "./api.js";
import { UploadNotices } from "./upload_notices.js";
import { Bucket } from "../storage/s3.js";
import { Concurrency } from "./concurrency.js";
import { Hosts } from "./hosts.js";
import { Sender } from "./sender.js";
import { keepSizes } from "./sizes.js";
import { inWords } from "./speed.js";
import { Summary } from "./summary.js";
import { Tabs } from "./tabs.js";
import { followUnfinished } from "./unfinished.js";

// How often the list is drawn. Drawing thousands of files takes time that sending could use.
const DRAW_EVERY_MS = 400;
const TELL_AFTER_MS = 1000;
// How often it is looked whether anything moves at all.
const LOOK_EVERY_MS = 2000;
const TROUBLED = "Some files were not sent. What each of them needs is said below.";

const section = /** @type {HTMLElement} */ (document.getElementById("upload"));
/** @type {UploadSettings} */
const settings = JSON.parse(document.getElementById("upload-settings")?.textContent ?? "");
const { base = "", worker = "", crc32 = "", md5 = "" } = section.dataset;
const folderField = /** @type {HTMLInputElement} */ (document.getElementById("upload-folder"));
const csrfField = /** @type {HTMLInputElement} */ (section.querySelector("[name=csrfmiddlewaretoken]"));
const api = new Api(base, csrfField.value);
const bucket = new Bucket(() => api.session());
const checksums = new Checksums(worker, [crc32, md5]);
const concurrency = new Concurrency({
  hosts: new Hosts({ others: settings.other_addresses, savesData: navigator.connection?.saveData ?? false }),
  tabs: new Tabs({ channel: new BroadcastChannel("cohort-sending"), locks: navigator.locks ?? null }),
});
const sender = new Sender({ api, bucket, checksums, concurrency, limits: { largestSingle: settings.largest_single_bytes } });
const { batch } = sender;
const speedField = /** @type {HTMLElement} */ (section.querySelector("[data-speed]"));
const summary = new Summary(/** @type {HTMLElement} */ (document.getElementById("upload-summary")));

const uppy = new Chooser(
  { id: "upload" },
  {
    take: (file, path) => {
      soon();
      return batch.take(file, path, folderField.value);
    },
    start,
    retryAll: () => sender.retryAll(),
    retry: (id) => {
      const item = batch.get(id);
      if (item) sender.again(item);
    },
  },
);
/** @type {any} */ (uppy).use(Surface, {
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
  note: "Files and whole folders, up to 5 TB each. Names are kept. What is already there is not sent again.",
  locale: { strings: { error: "Some files need you: see below", uploadFailed: "Some files were not sent: see below" } },
  onUnreadable: (/** @type {{ path: string, reason: string }} */ { path, reason }) => {
    batch.takeUnreadable(path, reason);
    soon();
  },
  doneButtonHandler: () => {
    uppy.clear();
    batch.close();
  },
});

// Where there is one file alone, Uppy leaves out what tells a screen reader that it is a list; a list of files that need no button more
// could not be scrolled by the keyboard.
const drop = /** @type {HTMLElement} */ (document.getElementById("upload-drop"));
new MutationObserver(() => {
  for (const list of drop.querySelectorAll(".uppy-Dashboard-files:not([role])")) list.setAttribute("role", "list");
  /** @type {NodeListOf<HTMLElement>} */
  const lists = drop.querySelectorAll(".uppy-Dashboard-files:not([tabindex])");
  for (const list of lists) {
    list.tabIndex = 0;
    list.setAttribute("aria-label", "Files");
  }
}).observe(drop, { childList: true, subtree: true });

keepSizes(uppy, drop);

const notices = new UploadNotices(/** @type {HTMLElement} */ (document.getElementById("upload-notes")), {
  replace: (item) => sender.answer(item, true),
  keep: (item) => sender.answer(item, false),
  retry: (item) => sender.again(item),
  leave: (item) => uppy.removeFile(item.id),
});

function start() {
  const fresh = sender.start();
  // Uppy's estimate of the time that is left begins anew.
  if (fresh.length)
    uppy.emit(
      "upload",
      "ours",
      fresh.map((item) => uppy.getFile(item.id)),
    );
  stayAwake();
}

// --- Drawing

/** @type {Set<UploadItem>} */
const changed = new Set();
/** @type {number | undefined} */
let drawing;

// Something about an item changed: words and buttons at once, the list soon.
sender.on("changed", (item) => {
  notices.about(item);
  shownSoon(item);
});
sender.on("progress", shownSoon);
sender.on("complete", announce);
sender.on("replaced", (item) => notices.forget(item));

/** @param {UploadItem} item */
function shownSoon(item) {
  changed.add(item);
  soon();
}

function soon() {
  drawing ??= setTimeout(
    () => {
      drawing = undefined;
      draw();
    },
    batch.isBusy() ? DRAW_EVERY_MS : 0,
  );
}

setInterval(() => {
  if (batch.isBusy()) soon();
}, LOOK_EVERY_MS);

const signIn = /** @type {HTMLElement} */ (section.querySelector("[data-sign-in]"));
function draw() {
  const items = [...changed].filter((item) => batch.get(item.id) === item);
  changed.clear();
  const account = batch.account();
  const isBusy = batch.isBusy();
  const failed = [...batch.items()].filter((item) => item.state === "failed");
  signIn.hidden = !failed.some((item) => item.isSignedOut);
  uppy.draw(items, { percent: batch.percent(), error: failed.length && !isBusy && !account.chosen ? TROUBLED : null });
  summary.show(account);
  notices.line(batch.items(), sender.stillFor(performance.now()));
  showElsewhere();
  showSpeed();
  if (!isBusy && items.length) listUnfinished();
}

function showSpeed() {
  const rate = sender.rate(performance.now());
  speedField.textContent = rate ? inWords(rate) : "";
}

// Others on the page (the file browser) hear of what arrived, a second's worth at a time.
/** @type {string[]} */
let arrived = [];
/** @param {UploadItem} item */
function announce(item) {
  if (!arrived.length) {
    setTimeout(() => {
      document.dispatchEvent(new CustomEvent("cohort:uploaded", { detail: { keys: arrived } }));
      arrived = [];
    }, TELL_AFTER_MS);
  }
  if (item.started) arrived.push(item.started.key);
}

// --- Uppy's other buttons

uppy.on("upload-pause", (file, isPaused) => {
  const item = file && batch.get(file.id);
  if (!item) return;
  if (isPaused) sender.stop(item);
  else sender.resume(item);
});
uppy.on("pause-all", () => sender.stop());
uppy.on("resume-all", () => sender.resume());
uppy.on("file-removed", (file) => {
  const item = batch.get(file.id);
  if (!item) return;
  notices.forget(item);
  sender
    .forget(item)
    .then(listUnfinished, (error) => notices.say(error.message))
    .finally(soon);
});

window.addEventListener("beforeunload", (event) => {
  if (batch.isBusy()) event.preventDefault();
});

// A machine that falls asleep sends nothing. Browsers let the lock go when the page is hidden.
function stayAwake() {
  if (batch.isBusy() && document.visibilityState === "visible") navigator.wakeLock?.request("screen").catch(() => {});
}
document.addEventListener("visibilitychange", stayAwake);

// --- The folder

// Files go to the folder that was set when they were chosen. Where another one is set now, that is said.
const elsewhere = /** @type {HTMLElement} */ (section.querySelector("[data-elsewhere]"));
const elsewhereText = /** @type {HTMLElement} */ (elsewhere.querySelector("span"));
const elsewhereButton = /** @type {HTMLButtonElement} */ (elsewhere.querySelector("button"));
function showElsewhere() {
  const folder = asFolder(folderField.value);
  const others = batch.chosen().filter((item) => item.folder !== folder);
  elsewhere.hidden = !others.length;
  if (!others.length) return;
  const folders = new Set(others.map((item) => item.folder));
  const where = folders.size === 1 ? [...folders][0] : `${folders.size} other folders`;
  elsewhereText.textContent = `${others.length} chosen file${others.length === 1 ? " goes" : "s go"} to ${visible(where)}.`;
  elsewhereButton.textContent = `Send to ${visible(folder)} instead`;
}
folderField.addEventListener("input", showElsewhere);
elsewhereButton.addEventListener("click", () => {
  batch.moveChosen(folderField.value, (item, before) => uppy.rename(before, item));
  draw();
});
document.addEventListener("cohort:path", ({ detail }) => {
  if (!settings.folders.some((folder) => detail.path.startsWith(`${folder}/`))) return;
  folderField.value = detail.path;
  showElsewhere();
});

// --- What is unfinished

// While files are sent nobody needs the list.
/** @type {number | undefined} */
let listing;
function listUnfinished() {
  listing ??= setTimeout(() => {
    listing = undefined;
    if (!batch.isBusy()) document.body.dispatchEvent(new CustomEvent("cohort:unfinished"));
  }, TELL_AFTER_MS);
}

// The same file in another folder would be another file: nothing would go on.
/** @param {string} folder */
const goOn = (folder) => {
  folderField.value = folder;
  showElsewhere();
  section.scrollIntoView();
  drop.querySelector("button")?.focus();
};
const unfinished = /** @type {HTMLElement} */ (document.getElementById("upload-unfinished"));
// Signed out, the list stays as it was: loading the page anew would lose the files that it holds.
unfinished.addEventListener("htmx:responseError", (event) => event.stopPropagation());
unfinished.addEventListener("htmx:beforeSwap", ({ detail }) => {
  if (!new URL(detail.xhr.responseURL).pathname.endsWith("/unfinished/")) detail.shouldSwap = false;
});
followUnfinished(unfinished, { bucket, api, isMine: (id) => sender.sends(id), goOn });
section.dataset.ready = "true";
