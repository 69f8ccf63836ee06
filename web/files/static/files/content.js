// What a file's first bytes say, as something that can be shown. Nothing from S3 is ever run, or shown as a page.
import { guessDelimiter, parseRows } from "./delimited.js";
import { el } from "./dom.js";
import { count, ending, kindOf, plural, size } from "./format.js";

// `most`: bytes that are read of a file at most.
/** @typedef {(source: FileSource, file: FileRow, signal: AbortSignal, most: number) => Promise<Element[]>} Show */

const TEXT_BYTES = 64_000;
const MAX_ROWS = 100;
const MAX_COLUMNS = 50;
const LARGE_IMAGE = 30_000_000;
const WATCH_SECONDS = 3600;
// S3 may know no type, or a wrong one, and a browser believes what it is told.
/** @type {Record<string, string>} */
const TYPES = {
  avif: "image/avif",
  bmp: "image/bmp",
  gif: "image/gif",
  ico: "image/x-icon",
  jpeg: "image/jpeg",
  jpg: "image/jpeg",
  png: "image/png",
  svg: "image/svg+xml",
  webp: "image/webp",
  m4v: "video/mp4",
  mov: "video/mp4",
  mp4: "video/mp4",
  ogv: "video/ogg",
  webm: "video/webm",
  flac: "audio/flac",
  m4a: "audio/mp4",
  mp3: "audio/mpeg",
  oga: "audio/ogg",
  ogg: "audio/ogg",
  wav: "audio/wav",
};

/** @param {string} text */
const note = (text) => el("p", { className: "small text-body-secondary mb-2", textContent: text });

// The first bytes as text, or null if they are none.
/** @param {Uint8Array} bytes @param {boolean} isCut */
export const decode = (bytes, isCut) => {
  const mark = bytes[0] === 0xff && bytes[1] === 0xfe ? "utf-16le" : bytes[0] === 0xfe && bytes[1] === 0xff ? "utf-16be" : "";
  if (mark) return new TextDecoder(mark).decode(bytes);
  if (bytes.includes(0)) return null;
  try {
    // A text that was cut off may end within a character: `stream` leaves the rest of it out.
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes, { stream: isCut });
  } catch {
    return new TextDecoder("windows-1252").decode(bytes);
  }
};

// S3 refuses a range of nothing.
/** @param {FileSource} source @param {FileRow} file @param {number} most @param {AbortSignal} signal */
const firstBytes = async (source, file, most, signal) => (file.size === 0 ? new Uint8Array() : source.first(most, signal));

/** @type {Show} */
const asText = async (source, file, signal) => {
  const isCut = file.size > TEXT_BYTES;
  const text = decode(await firstBytes(source, file, TEXT_BYTES, signal), isCut);
  if (text === null) return [note("This is not text, so there is nothing to show. Download it to open it.")];
  if (text === "") return [note("The file is empty.")];
  const pre = el("pre", { className: "files-text", tabIndex: 0, "aria-label": "Content", textContent: text });
  return isCut ? [note(`The first ${size(TEXT_BYTES)} of ${size(file.size)}.`), pre] : [pre];
};

/** @type {Show} */
const asTable = async (source, file, signal, most) => {
  const isCut = file.size > most;
  const text = decode(await firstBytes(source, file, most, signal), isCut);
  if (text === null) return [note("This is not text, so there is nothing to show. Download it to open it.")];
  const { rows, isWhole } = parseRows(text.replace(/^\ufeff/, ""), guessDelimiter(text), { most: MAX_ROWS, isCut });
  if (!rows.length)
    return [note(file.size ? "No whole row lies in the part that is shown. Download it to see it." : "The file is empty.")];
  const columns = Math.max(...rows.map((row) => row.length));
  const shown = rows.map((row) => row.slice(0, MAX_COLUMNS));
  const [head, ...body] = shown;
  /** @param {string[]} row @param {"td" | "th"} tag @param {Record<string, any>} [more] */
  const fields = (row, tag, more = {}) => row.map((field) => el(tag, { ...more, textContent: field }));
  const table = el(
    "table",
    { className: "table table-sm table-striped files-csv" },
    el("thead", {}, el("tr", {}, ...fields(head, "th", { scope: "col" }))),
    el("tbody", {}, ...body.map((row) => el("tr", {}, ...fields(row, "td")))),
  );
  const says = [isWhole ? plural(rows.length, "row") : `The first ${plural(rows.length, "row")}`];
  if (columns > MAX_COLUMNS) says.push(`the first ${MAX_COLUMNS} of ${count(columns)} columns`);
  return [
    note(`${says.join(", ")}.`),
    el("div", { className: "table-responsive", tabIndex: 0, role: "region", "aria-label": "Rows" }, table),
  ];
};

/** @param {"audio" | "img" | "video"} tag @returns {Show} */
const asMedium = (tag) => async (source, file) => {
  const src = await source.medium(TYPES[ending(file.name)], WATCH_SECONDS);
  if (src === null)
    return [note("There is no preview here, because a part of the file’s path is “.” or “..”. Download it to open it.")];
  const shown = el(tag, { className: "files-medium", src });
  const failed = el("p", {
    className: "alert alert-warning",
    role: "status",
    hidden: true,
    textContent: "Your browser cannot show this file. Download it to open it.",
  });
  shown.addEventListener("error", () => {
    shown.hidden = true;
    failed.hidden = false;
  });
  if (shown instanceof HTMLImageElement) shown.alt = `Content of ${file.name}`;
  else Object.assign(shown, { controls: true, preload: "metadata" });
  if (tag !== "img") shown.setAttribute("aria-label", file.name);
  return [shown, failed];
};

/** @type {Show} */
const asImage = async (source, file, signal, most) => {
  const show = asMedium("img");
  if (file.size <= LARGE_IMAGE) return show(source, file, signal, most);
  const place = el("div");
  const load = async () => place.replaceChildren(...(await show(source, file, signal, most)));
  place.append(
    note(`A large picture, ${size(file.size)}.`),
    el("button", { type: "button", className: "btn btn-outline-secondary", textContent: "Show it anyway", on: { click: load } }),
  );
  return [place];
};

/** @type {Record<string, Show>} */
const SHOW = { text: asText, table: asTable, image: asImage, video: asMedium("video"), audio: asMedium("audio") };

// What to show of a file, as elements.
/** @type {Show} */
export const contentOf = async (source, file, signal, most) => {
  const show = SHOW[kindOf(file.name)];
  return show ? show(source, file, signal, most) : [note("There is no preview of this kind of file. Download it to open it.")];
};
