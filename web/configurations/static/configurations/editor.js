// Line numbers beside the YAML, and the way from a problem to its line. The text itself is a plain field: Tab leaves it.
const field = /** @type {HTMLTextAreaElement | null} */ (document.getElementById("text"));
const gutter = /** @type {HTMLElement | null} */ (document.querySelector("[data-lines]"));

if (field && gutter) {
  const number = () => {
    const lines = field.value.split("\n").length;
    gutter.textContent = Array.from({ length: lines }, (_, index) => index + 1).join("\n");
    gutter.scrollTop = field.scrollTop;
  };
  field.addEventListener("input", number);
  field.addEventListener("scroll", () => {
    gutter.scrollTop = field.scrollTop;
  });
  // The gutter is as high as the field, which people can stretch.
  new ResizeObserver(() => {
    gutter.style.height = `${field.offsetHeight}px`;
  }).observe(field);
  number();
}

document.getElementById("problems")?.addEventListener("click", (event) => {
  const marked = /** @type {Element} */ (event.target).closest("[data-line]");
  const line = marked instanceof HTMLElement ? Number(marked.dataset.line) : 0;
  if (!line || !field) return;
  event.preventDefault();
  const before =
    field.value
      .split("\n")
      .slice(0, line - 1)
      .join("\n").length + (line > 1 ? 1 : 0);
  const end = field.value.indexOf("\n", before);
  field.focus();
  field.setSelectionRange(before, end < 0 ? field.value.length : end);
});

// What was typed and not saved is not lost by a slip.
const form = document.querySelector("form.configuration");
let changed = false;
form?.addEventListener("input", () => {
  changed = true;
});
form?.addEventListener("submit", () => {
  changed = false;
});
window.addEventListener("beforeunload", (event) => {
  if (changed) event.preventDefault();
});
