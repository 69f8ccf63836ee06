// The file browser: lists a folder straight from S3, and shows, sorts, searches and acts on what was listed.
import { visible } from "../cohort/visible.js";
import { Bucket } from "../storage/s3.js";
import * as urlState from "./url_state.js";
import { Selection } from "./selection.js";
import { Deleting } from "./deleting.js";
import { el } from "./dom.js";
import { Downloads } from "./downloads.js";
import { count } from "./format.js";
import { showStatus } from "./listing_status.js";
import { Loading } from "./loading.js";
import { Preview } from "./preview.js";
import { Server } from "./server.js";
import { ListingStore } from "./listing_store.js";
import { sourceOf } from "./source.js";
import { Table } from "./table.js";

const ROWS = 100;
// While more arrives the rows are drawn so often; in between the page is the reader's.
const DRAW_EVERY_MS = 400;
const TYPING_MS = 150;
const ARRIVED_MS = 1500;

/** @type {FilesSettings} */
const settings = JSON.parse(document.getElementById("files-settings")?.textContent ?? "");
const section = /** @type {HTMLElement} */ (document.getElementById("files"));
/** @type {FilesPart} */
const part = (name) => /** @type {any} */ (section.querySelector(`[data-part="${name}"]`));
/** @type {NodeListOf<HTMLElement>} */
const heads = section.querySelectorAll("[data-sort]");
const server = new Server(settings);
const bucket = new Bucket(() => server.session());
const selection = new Selection();
const downloads = new Downloads(part, { settings, bucket, tell });

let state = urlState.read();
let store = new ListingStore();
/** @type {ListingView} */
let view = { folders: [], files: new Uint32Array(), length: 0, choosable: 0 };
// Set before anything looks at it: by follow(), at the end of this page.
let loading = /** @type {Loading} */ (/** @type {unknown} */ (null));
let loadedFor = "";
/** @type {number | undefined} */
let drawTimer;
// Set while what was typed into the search is not looked for yet.
/** @type {number | undefined} */
let typing;

const folderPrefix = () => settings.prefix + state.path;
/** @param {string} name */
const keyOf = (name) => folderPrefix() + name;
const uri = () => `s3://${settings.bucket}/${folderPrefix()}`;
const lastPage = () => Math.max(0, Math.ceil(view.length / ROWS) - 1);
const rowsOnShow = () => {
  const first = state.page * ROWS;
  return Array.from({ length: Math.max(0, Math.min(ROWS, view.length - first)) }, (_, index) => store.row(view, first + index));
};
const choosable = () =>
  rowsOnShow()
    .filter((row) => !row.isMarker)
    .map((row) => row.name);

const table = new Table(part("rows"), {
  address: (row) => urlState.write({ ...state, path: state.path + row.name, query: "", page: 0, isDeep: false }),
  open: (row) => (row.isFolder ? go({ path: state.path + row.name }) : preview.open(row)),
  download,
  choose: (name, is, isRange) => {
    selection.set(name, is, { isRange, shown: choosable() });
    showSelection();
  },
  isChosen: (name) => selection.has(name),
});

const preview = new Preview(/** @type {HTMLDialogElement} */ (document.getElementById("files-preview")), {
  mostBytes: settings.most_first_bytes,
  sourceOf: (row) => sourceOf(bucket, settings.one, keyOf(row.name)),
  download,
  find: neighbour,
  closed: (row) => {
    if (row) table.focus(row.name);
  },
});

const deleting =
  settings.writable &&
  new Deleting(/** @type {HTMLDialogElement} */ (document.getElementById("files-delete")), part("undo"), {
    server,
    bucket,
    most: settings.most_keys,
    changed: ({ gone }) => {
      if (gone) {
        store.remove(gone);
        selection.clear();
        draw();
      } else load();
    },
  });

// The file so many before or after this one in the order on show.
/** @param {FileRow} row @param {number} step @returns {FileRow | null} */
function neighbour(row, step) {
  const { files, folders } = view;
  const at = files.findIndex((index) => store.names[index] === row.name);
  const next = at + step;
  if (at < 0 || next < 0 || next >= files.length) return null;
  return /** @type {FileRow} */ (store.row(view, folders.length + next));
}

// --- Listing

function load() {
  loading?.stop();
  store = new ListingStore();
  selection.clear();
  loadedFor = `${state.path}\0${state.isDeep}`;
  const mine = new Loading({
    bucket,
    prefix: folderPrefix(),
    isDeep: state.isDeep,
    store,
    hidden: settings.hidden,
    tell: () => {
      if (loading === mine) drawSoon();
    },
  });
  loading = mine;
  draw();
  mine.run();
}

function drawSoon() {
  const isFirst = view.length === 0;
  if (isFirst || loading.state !== "loading") draw();
  else drawTimer ??= setTimeout(draw, DRAW_EVERY_MS);
}

const stopTyping = () => {
  clearTimeout(typing);
  typing = undefined;
};

// Look now for what was typed, instead of a moment later.
function search() {
  stopTyping();
  if (part("search").value !== state.query) go({ query: part("search").value }, false);
}

// Go to another folder, search or order. What was typed before counts as well. `isStep` makes it a step that the browser's back
// button undoes.
/** @param {Partial<FilesState>} change @param {boolean} [isStep] */
function go(change, isStep = true) {
  if (typing !== undefined) state.query = part("search").value;
  stopTyping();
  state = { ...state, page: 0, ...(change.path === undefined ? {} : { query: "", isDeep: false }), ...change };
  window.history[isStep ? "pushState" : "replaceState"](null, "", urlState.write(state));
  follow();
  if (change.path !== undefined) part("path").focus();
}

function follow() {
  document.dispatchEvent(new CustomEvent("cohort:path", { detail: { path: state.path } }));
  if (loadedFor === `${state.path}\0${state.isDeep}`) draw();
  else load();
}

// --- Drawing

function draw() {
  clearTimeout(drawTimer);
  drawTimer = undefined;
  view = store.view(state);
  if (loading.state !== "loading") state.page = Math.min(state.page, lastPage());
  showPath();
  showOrder();
  showState();
  table.draw(rowsOnShow());
  showPages();
  showSelection();
}

function showPath() {
  // A part may be empty: `a//b/` is another folder than `a/b/`.
  const steps = state.path.split("/").slice(0, -1);
  const links = steps.map((name, index) => [name, `${steps.slice(0, index + 1).join("/")}/`]);
  const list = part("path");
  if (list.dataset.path === state.path) return;
  list.dataset.path = state.path;
  list.replaceChildren(
    ...[[settings.name, ""], ...links].map(([name, path]) => {
      const isHere = path === state.path;
      const link = el("a", {
        href: urlState.write({ ...state, path, query: "", page: 0, isDeep: false }),
        textContent: visible(name) || "(no name)",
        on: {
          click: (/** @type {MouseEvent} */ event) => {
            if (!event.ctrlKey && !event.metaKey && !event.shiftKey) {
              event.preventDefault();
              go({ path });
            }
          },
        },
      });
      return isHere
        ? el("li", { className: "breadcrumb-item active", "aria-current": "page", textContent: visible(name) || "(no name)" })
        : el("li", { className: "breadcrumb-item" }, link);
    }),
  );
  part("uri").textContent = visible(uri());
}

function showOrder() {
  for (const head of heads) {
    const is = head.dataset.sort === state.by;
    head.setAttribute("aria-sort", is ? (state.down ? "descending" : "ascending") : "none");
    const arrow = /** @type {HTMLElement} */ (head.querySelector("[data-arrow]"));
    arrow.textContent = is ? (state.down ? " ↓" : " ↑") : "";
  }
  if (typing === undefined && document.activeElement !== part("search")) part("search").value = state.query;
  part("below").checked = state.isDeep;
  part("order").value = `${state.by} ${state.down ? "down" : "up"}`;
}

function showState() {
  showStatus(part, { state, store, view, loading, isLong: state.isDeep || store.names.length >= ROWS });
}

function showPages() {
  const last = lastPage();
  part("pages").hidden = last === 0;
  part("page").value = String(state.page + 1);
  part("page").max = String(last + 1);
  part("of").textContent = `of ${count(last + 1)}`;
  part("first").disabled = part("back").disabled = state.page === 0;
  part("on").disabled = part("last").disabled = state.page >= last;
}

function showSelection() {
  const names = choosable();
  const ticked = names.filter((name) => selection.has(name)).length;
  const box = part("tick");
  box.checked = names.length > 0 && ticked === names.length;
  box.indeterminate = ticked > 0 && !box.checked;
  part("chosen").hidden = selection.names.size === 0;
  part("all").hidden = selection.names.size > 0 || view.length === 0;
  part("tick-all").hidden = !(box.checked && selection.names.size < view.choosable);
  part("tick-all").textContent = `Choose all ${count(view.choosable)}`;
  part("chosen-count").textContent = `${count(selection.names.size)} chosen`;
  if (settings.writable) {
    const is = [...selection.names].every((name) =>
      settings.cleanable.some((folder) => (state.path + name).startsWith(`${folder}/`)),
    );
    part("delete").disabled = !is;
    part("delete-why").hidden = is;
  }
  table.mark();
}

// --- Acting

/** @param {{ name: string }} row */
function download(row) {
  downloads.file(keyOf(row.name));
}

/** @param {string[]} names */
const downloadZip = (names) => downloads.zip(folderPrefix(), state.path, names);

function askToDelete() {
  const wanted = new Set(selection.files);
  /** @type {{ name: string, size: number }[]} */
  const files = [];
  store.names.forEach((name, index) => {
    if (wanted.has(name)) files.push({ name, size: store.sizes[index] });
  });
  if (deleting) deleting.ask({ prefix: folderPrefix(), files, folders: selection.folders });
}

/** @param {string} text */
function tell(text) {
  part("notice").hidden = !text;
  part("notice").textContent = text;
}

const allNames = () =>
  Array.from({ length: view.length }, (_, index) => store.row(view, index))
    .filter((row) => !row.isMarker)
    .map((row) => row.name);
/** @param {keyof FilesParts} name @param {string} event @param {(event: any) => void} listener */
const on = (name, event, listener) => part(name)?.addEventListener(event, listener);
/** @param {number} page */
const turn = (page) => {
  go({ page: Math.max(0, Math.min(page, lastPage())) });
  part("table").scrollIntoView({ block: "nearest" });
};

on("tick", "change", (event) => {
  selection.setAll(choosable(), event.target.checked);
  showSelection();
});
on("tick-all", "click", () => {
  selection.setAll(allNames(), true);
  showSelection();
});
on("tick-none", "click", () => {
  selection.clear();
  showSelection();
  part("tick").focus();
});
on("zip-chosen", "click", () => downloadZip([...selection.names]));
on("zip-all", "click", () => (state.query ? downloadZip(allNames()) : downloadZip([""])));
on("delete", "click", askToDelete);
// What is shown escaped is copied as it is.
on("uri", "copy", (event) => {
  if (String(document.getSelection()).trim() !== visible(uri())) return;
  event.clipboardData.setData("text/plain", uri());
  event.preventDefault();
});
on("stop", "click", () => loading.stop());
on("again", "click", load);
on("reload", "click", load);
on("first", "click", () => turn(0));
on("back", "click", () => turn(state.page - 1));
on("on", "click", () => turn(state.page + 1));
on("last", "click", () => turn(lastPage()));
on("page", "change", (event) => turn((parseInt(event.target.value, 10) || 1) - 1));
on("below", "change", (event) => go({ isDeep: event.target.checked }, false));
on("none-below", "click", () => {
  go({ isDeep: true }, false);
  part("search").focus();
});
on("order", "change", (event) => {
  const [by, way] = event.target.value.split(" ");
  go({ by, down: way === "down" }, false);
});
on("search", "input", () => {
  stopTyping();
  typing = setTimeout(search, TYPING_MS);
});
// Before whatever is pressed next: tab, the mouse, or Enter.
on("search", "change", search);
on("search-form", "submit", (event) => {
  event.preventDefault();
  search();
});
for (const head of heads) {
  // What is large or new is looked for first; names begin with A.
  head.querySelector("button")?.addEventListener("click", () => {
    const by = /** @type {SortColumn} */ (head.dataset.sort);
    go({ by, down: state.by === by ? !state.down : by !== "name" }, false);
  });
}
window.addEventListener("popstate", () => {
  stopTyping();
  state = urlState.read();
  follow();
});
window.addEventListener("offline", () => tell("You are off the network. What you see may be old."));
window.addEventListener("online", () => {
  tell("");
  if (loading.state === "failed") load();
});

// A job whose results these are has written more.
document.addEventListener("cohort:job-changed", () => {
  if (loading.state !== "loading") load();
});

// What was sent from this page shows here by itself, a moment after the last of it.
/** @type {number | undefined} */
let arrived;
document.addEventListener("cohort:uploaded", ({ detail }) => {
  if (!detail.keys.some((key) => key.startsWith(folderPrefix()))) return;
  clearTimeout(arrived);
  arrived = setTimeout(load, ARRIVED_MS);
});

follow();
section.dataset.ready = "true";
