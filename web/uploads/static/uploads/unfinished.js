// The list of unfinished uploads, from this device or another: how far S3 has each, and giving them up.

/**
 * @typedef {object} Options
 * @property {Pick<Bucket, "parts">} bucket
 * @property {Pick<UploadApi, "remove">} api
 * @property {(id: number) => boolean} isMine
 * @property {(folder: string) => void} goOn
 */

/** @param {Map<number, S3Part>} parts */
const sum = (parts) => [...parts.values()].reduce((bytes, part) => bytes + part.size, 0);

/** @param {HTMLElement} row */
const stateOf = (row) => /** @type {HTMLElement} */ (row.querySelector("[data-state]"));

// `isMine(id)` tells what this very page is sending now.
// `goOn(folder)` makes the page ready for files that went into that folder.
/** @param {HTMLElement} root @param {Options} options */
export const followUnfinished = (root, { bucket, api, isMine, goOn }) => {
  const show = async () => {
    /** @type {NodeListOf<HTMLElement>} */
    const rows = root.querySelectorAll("[data-upload]");
    for (const row of rows) {
      const { upload, key = "", uploadId, size } = row.dataset;
      if (isMine(Number(upload))) stateOf(row).textContent = "being sent by this page";
      else if (uploadId) await far(row, key, uploadId, Number(size));
    }
  };

  /** @param {HTMLElement} row @param {string} key @param {string} uploadId @param {number} size */
  const far = async (row, key, uploadId, size) => {
    const state = stateOf(row);
    try {
      const bytes = sum(await bucket.parts(key, uploadId));
      const percent = Math.floor((100 * bytes) / size);
      /** @type {HTMLProgressElement} */ (row.querySelector("progress")).value = percent;
      state.textContent = `${percent} % is there`;
    } catch (error) {
      state.textContent = error.status === 404 ? "S3 has dropped it: begin anew" : "S3 does not say how far it is";
    }
  };

  root.addEventListener("click", async (event) => {
    const target = /** @type {Element} */ (event.target);
    /** @type {HTMLElement | null} */
    const goingOn = target.closest("[data-go-on]");
    if (goingOn) goOn(goingOn.dataset.goOn ?? "");
    /** @type {HTMLButtonElement | null} */
    const button = target.closest("[data-remove]");
    if (!button) return;
    button.disabled = true;
    try {
      await api.remove((button.dataset.remove ?? "").split(",").map(Number));
    } catch (error) {
      button.after(` ${error.message}`);
    }
    document.body.dispatchEvent(new CustomEvent("cohort:unfinished"));
  });
  root.addEventListener("htmx:afterSettle", show);
  show();
};
