// Uppy counts 1,024 bytes as a kilobyte, and so on, which no setting changes. Its texts become what the rest of the site says.
import { size } from "../files/format.js";

// It calls a total unknown where one of the files is empty.
const OF_TOTAL = /^[\d.]+ [KMGTPEZY]?B of (?:unknown|[\d.]+ [KMGTPEZY]?B)$/;

// Within the text node that is there, which stays Uppy's own.
/** @param {ChildNode | null | undefined} node @param {string} text */
const write = (node, text) => {
  if (node instanceof Text && node.data !== text) node.data = text;
};

/** @param {Uploads} uppy */
const ofTotal = (uppy) => {
  const started = uppy.getFiles().filter(({ progress }) => progress.uploadStarted);
  /** @param {(file: typeof started[number]) => any} bytesOf */
  const sum = (bytesOf) => started.reduce((all, file) => all + (bytesOf(file) || 0), 0);
  return `${size(sum((file) => file.progress.bytesUploaded))} of ${size(sum((file) => file.size))}`;
};

// Keep Uppy's texts in this element so.
/** @param {Uploads} uppy @param {HTMLElement} element */
export const keepSizes = (uppy, element) => {
  const rewrite = () => {
    for (const shown of element.querySelectorAll(".uppy-Dashboard-Item")) {
      const file = uppy.getFile(shown.id.slice("uppy_".length));
      if (file) write(shown.querySelector(".uppy-Dashboard-Item-statusSize")?.firstChild, size(Number(file.size)));
    }
    for (const { childNodes } of element.querySelectorAll(".uppy-StatusBar-additionalInfo")) {
      for (const node of childNodes) if (node instanceof Text && OF_TOTAL.test(node.data)) write(node, ofTotal(uppy));
    }
  };
  new MutationObserver(rewrite).observe(element, { childList: true, characterData: true, subtree: true });
};
