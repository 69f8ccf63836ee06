// The link leads to the folder that is open among the results.
const field = /** @type {HTMLInputElement} */ (document.getElementById("share-path"));
document.addEventListener("cohort:path", ({ detail }) => {
  field.value = detail.path;
});
