// Small helpers to build a page's parts. Names come from S3, so text is only ever set as text.

// An element with properties, data and children. `on` holds listeners; names with a dash or `role` become attributes.
/**
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, any>} [properties]
 * @param {(Node | string | null)[]} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export const el = (tag, properties = {}, ...children) => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "on") for (const [event, listener] of Object.entries(value)) made.addEventListener(event, listener);
    else if (name === "data") Object.assign(made.dataset, value);
    else if (name === "role" || name === "scope" || name.includes("-")) made.setAttribute(name, value);
    else Reflect.set(made, name, value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
};

const SVG = "http://www.w3.org/2000/svg";
/** @type {Record<string, string>} */
const SHAPES = {
  folder: "M1.5 3.5h4.6l1.6 1.8h6.8v8.2h-13z",
  file: "M3.5 1.5h6l3 3v10h-9zM9.5 1.5v3h3",
  text: "M3.5 1.5h6l3 3v10h-9zM5.5 7h5M5.5 9.5h5M5.5 12h3",
  table: "M1.5 2.5h13v11h-13zM1.5 6h13M1.5 9.7h13M6 2.5v11",
  image: "M1.5 2.5h13v11h-13zM1.5 11l4-4 3.5 3.5 2-2 3.5 3.5",
  video: "M1.5 2.5h13v11h-13zM6.5 5.5v5l4.5-2.5z",
  audio: "M6 12V3.5l7-1.5v8.5M6 12a2 2 0 1 1-4 0 2 2 0 0 1 4 0M13 10.500a2 2 0 1 1-4 0 2 2 0 0 1 4 0",
};

// A line drawing that says the kind at a glance. The name beside it says it to those who do not see it.
/** @param {string} kind */
export const icon = (kind) => {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("class", `files-icon files-icon-${kind}`);
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", SHAPES[kind] ?? SHAPES.file);
  svg.append(path);
  return svg;
};

// A <time> that is relative to read and exact on hover.
/** @param {number} milliseconds @param {string} text */
export const time = (milliseconds, text) =>
  el("time", {
    dateTime: new Date(milliseconds).toISOString(),
    title: new Date(milliseconds).toLocaleString(),
    textContent: text,
  });
