// The log of one data set: its end first, then what is added, read on from where it was.
import { visibleLines } from "../cohort/visible.js";

/** @typedef {{ text: string, offset: number, size: number, is_there: boolean, is_open: boolean, was_replaced: boolean }} LogPiece */

const EVERY_MS = 2000;
const MAX_LINES = 5000;
// From the beginning, pieces follow each other until the whole is there, or as much as the page keeps.
const MAX_PIECES = 50;

const section = /** @type {HTMLElement} */ (document.getElementById("log"));
/** @param {string} name */
const part = (name) => /** @type {HTMLElement} */ (section.querySelector(`[data-part="${name}"]`));
const text = part("text");
let offset = -1;
let size = 0;
let isCut = false;
let isOpen = true;
let isRereading = false;

const isAtEnd = () => text.scrollTop + text.clientHeight >= text.scrollHeight - 8;

/** @param {number} from @returns {Promise<LogPiece>} */
async function read(from) {
  const answer = await fetch(`${section.dataset.url}?set=${section.dataset.set}&offset=${from}`, {
    headers: { accept: "application/json" },
  });
  const piece = await answer.json();
  if (!answer.ok) throw new Error(piece.error ?? "The site did not give the log.");
  return piece;
}

/** @param {LogPiece} piece */
function show(piece) {
  const follows = isAtEnd();
  if (piece.was_replaced) text.textContent = "";
  if (piece.text) {
    text.append(visibleLines(piece.text));
    const lines = text.textContent.split("\n");
    // Whoever reads a log in the browser reads its end; the file itself lies below.
    if (lines.length > MAX_LINES) {
      text.textContent = lines.slice(-MAX_LINES).join("\n");
      isCut = true;
    }
  }
  text.hidden = !piece.is_there;
  part("do").hidden = !piece.is_there;
  if (follows && piece.text) text.scrollTop = text.scrollHeight;
  offset = piece.offset;
  size = piece.size;
  isOpen = piece.is_open;
  const more = isCut ? ` The last ${MAX_LINES} lines are shown; the file is in the folder logs below.` : "";
  part("said").textContent = piece.is_there
    ? `${piece.size.toLocaleString("en")} bytes${isOpen ? "; it grows by itself" : ""}.${more}`
    : "The back end has written no log of it yet.";
}

async function readOn() {
  if (isRereading || (document.hidden && offset >= 0)) return;
  const piece = await read(offset);
  // Somebody may have gone back to the beginning meanwhile.
  if (!isRereading) show(piece);
}

async function step() {
  const before = offset;
  let failed = false;
  try {
    await readOn();
  } catch (error) {
    failed = true;
    part("said").textContent = `${error.message} It is tried again.`;
  }
  // Once the job has ended nothing more comes, but the rest may not have been read yet. A log cut within a letter has no end.
  if (isOpen || failed) setTimeout(step, EVERY_MS);
  else if (offset > before && offset < size) setTimeout(step, 0);
}

part("begin").addEventListener("click", async () => {
  isRereading = true;
  text.textContent = "";
  try {
    await readAll(0);
  } catch (error) {
    part("said").textContent = error.message;
  }
  isRereading = false;
  text.scrollTop = 0;
  text.focus();
});

/** @param {number} from */
async function readAll(from) {
  for (let count = 0; count < MAX_PIECES; count += 1) {
    const piece = await read(from);
    show(piece);
    if (piece.offset <= from || piece.offset >= piece.size) break;
    from = piece.offset;
  }
}
part("end").addEventListener("click", () => {
  text.scrollTop = text.scrollHeight;
  text.focus();
});

step();
