// The list of unfinished uploads, from this device or another: how far S3 has each, and giving them up.

const sum = (parts) => [...parts.values()].reduce((bytes, part) => bytes + part.size, 0);

// `isMine(id)` tells what this very page is sending now.
// `goOn(folder)` makes the page ready for files that went into that folder.
export const followUnfinished = (root, { bucket, api, isMine, goOn }) => {
  const show = async () => {
    for (const row of root.querySelectorAll("[data-upload]")) {
      const { upload, key, uploadId, size } = row.dataset;
      if (isMine(Number(upload))) row.querySelector("[data-state]").textContent = "being sent by this page";
      else if (uploadId) await far(row, key, uploadId, Number(size));
    }
  };

  const far = async (row, key, uploadId, size) => {
    const state = row.querySelector("[data-state]");
    try {
      const bytes = sum(await bucket.parts(key, uploadId));
      const percent = Math.floor((100 * bytes) / size);
      row.querySelector("progress").value = percent;
      state.textContent = `${percent} % is there`;
    } catch (error) {
      state.textContent = error.status === 404 ? "S3 has dropped it: begin anew" : "S3 does not say how far it is";
    }
  };

  root.addEventListener("click", async ({ target }) => {
    const goingOn = target.closest("[data-go-on]");
    if (goingOn) goOn(goingOn.dataset.goOn);
    const button = target.closest("[data-remove]");
    if (!button) return;
    button.disabled = true;
    try {
      await api.remove(button.dataset.remove.split(",").map(Number));
    } catch (error) {
      button.after(` ${error.message}`);
    }
    document.body.dispatchEvent(new CustomEvent("cohort:unfinished"));
  });
  root.addEventListener("htmx:afterSettle", show);
  show();
};
