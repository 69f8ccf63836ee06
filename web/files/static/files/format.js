// Sizes, numbers, dates and kinds of files in people's words.
const NUMBER = new Intl.NumberFormat("en-GB");
const SHORT = new Intl.NumberFormat("en-GB", { maximumSignificantDigits: 3 });
const RELATIVE = new Intl.RelativeTimeFormat("en-GB", { numeric: "auto" });
const UNITS = ["bytes", "kB", "MB", "GB", "TB", "PB"];
/** @type {[Intl.RelativeTimeFormatUnit, number][]} */
const STEPS = [
  ["year", 31_557_600],
  ["month", 2_629_800],
  ["week", 604_800],
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];

/** @param {number} number */
export const count = (number) => NUMBER.format(number);

/** @param {number} number @param {string} one @param {string} [many] */
export const plural = (number, one, many = `${one}s`) => `${NUMBER.format(number)} ${number === 1 ? one : many}`;

// 1 kB is 1,000 bytes, as disks and the upload page count.
/** @param {number} bytes */
export const size = (bytes) => {
  let unit = 0;
  let value = bytes;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return unit === 0 ? plural(bytes, "byte") : `${SHORT.format(value)} ${UNITS[unit]}`;
};

/** @param {number} milliseconds @param {number} [now] */
export const ago = (milliseconds, now = Date.now()) => {
  const seconds = (milliseconds - now) / 1000;
  for (const [unit, length] of STEPS) {
    if (Math.abs(seconds) >= length) return RELATIVE.format(Math.round(seconds / length), unit);
  }
  return "just now";
};

const KINDS = {
  image: "avif bmp gif ico jpeg jpg png svg webp",
  video: "m4v mov mp4 ogv webm",
  audio: "flac m4a mp3 oga ogg wav",
  table: "csv tab tsv",
  text: "bash bib c cfg cff cpp css csl cwl do err h htm html ini ipynb java jl js json jsonl log m md nf out py r rmd rst sh smk sql srt tex toml ts txt xml yaml yml",
};
/** @type {Map<string, string>} */
const KIND = new Map(Object.entries(KINDS).flatMap(([kind, endings]) => endings.split(" ").map((ending) => [ending, kind])));
const NAMED = new Set(["dockerfile", "license", "makefile", "readme", "snakefile"]);

/** @param {string} name */
export const ending = (name) => {
  const file = name.slice(name.lastIndexOf("/") + 1);
  const dot = file.lastIndexOf(".");
  return dot < 0 ? "" : file.slice(dot + 1).toLowerCase();
};

// image, video, audio, table or text: what can be shown; else file.
/** @param {string} name */
export const kindOf = (name) => {
  if (NAMED.has(name.slice(name.lastIndexOf("/") + 1).toLowerCase())) return "text";
  return KIND.get(ending(name)) ?? "file";
};
