// Copies and downloads what a snippet shows, and takes secrets off the page when it is left.
const SAID_MS = 2000;

/** @param {HTMLElement} button @param {string} word */
const say = (button, word) => {
  const before = button.dataset.word ?? (button.dataset.word = button.textContent);
  button.textContent = word;
  announce.textContent = word;
  setTimeout(() => {
    button.textContent = before;
    announce.textContent = "";
  }, SAID_MS);
};

const announce = document.createElement("div");
announce.className = "visually-hidden";
announce.setAttribute("role", "status");
document.body.append(announce);

/** @param {string | undefined} id */
const shown = (id) => /** @type {HTMLElement} */ (document.getElementById(id ?? ""));
/** @param {string | undefined} id */
const text = (id) => `${shown(id).textContent}\n`;

/** @param {HTMLElement} button */
const copy = async (button) => {
  const id = button.dataset.copy;
  try {
    await navigator.clipboard.writeText(text(id));
    say(button, "Copied");
  } catch {
    // Without a clipboard (plain HTTP, or not allowed) the text is selected, so that one key copies it.
    getSelection()?.selectAllChildren(shown(id));
    say(button, "Selected: press Ctrl+C");
  }
};

/** @param {HTMLElement} button */
const download = (button) => {
  // Made here from what the page shows: the server does not hand it out a second time.
  const address = URL.createObjectURL(new Blob([text(button.dataset.download)], { type: "text/plain" }));
  const link = document.createElement("a");
  link.href = address;
  link.download = button.dataset.file ?? "";
  link.click();
  URL.revokeObjectURL(address);
  say(button, "Downloaded");
};

/** @type {NodeListOf<HTMLElement>} */
const copying = document.querySelectorAll("[data-copy]");
for (const button of copying) {
  button.hidden = false;
  button.addEventListener("click", () => copy(button));
}
/** @type {NodeListOf<HTMLElement>} */
const downloading = document.querySelectorAll("[data-download]");
for (const button of downloading) {
  button.hidden = false;
  button.addEventListener("click", () => download(button));
}

// A browser may keep the page as it was for its Back button; then it must not hold the secret.
addEventListener("pagehide", () => {
  for (const secret of document.querySelectorAll("[data-secret]")) secret.textContent = "Shown once, and gone.";
});
