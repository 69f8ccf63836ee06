// What is on show, as the page's address has it: it can be shared, kept, and gone back to.
/** @type {Set<string | null>} */
const COLUMNS = new Set(["name", "size", "date"]);

// path is relative to the group's folder and ends with a slash, or is empty.
/** @param {string} [search] @returns {FilesState} */
export const read = (search = window.location.search) => {
  const given = new URLSearchParams(search);
  const path = given.get("path") ?? "";
  return {
    path: path === "" || path.endsWith("/") ? path : `${path}/`,
    query: given.get("q") ?? "",
    isDeep: given.get("below") === "1",
    by: COLUMNS.has(given.get("sort")) ? /** @type {SortColumn} */ (given.get("sort")) : "name",
    down: given.get("order") === "down",
    page: Math.max(0, (parseInt(given.get("page") ?? "", 10) || 1) - 1),
  };
};

/** @param {FilesState} state */
export const write = ({ path, query, isDeep, by, down, page }) => {
  const given = new URLSearchParams();
  if (path) given.set("path", path);
  if (query) given.set("q", query);
  if (isDeep) given.set("below", "1");
  if (by !== "name") given.set("sort", by);
  if (down) given.set("order", "down");
  if (page) given.set("page", String(page + 1));
  const text = given.toString();
  return text ? `?${text}` : window.location.pathname;
};
