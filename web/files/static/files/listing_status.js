// How far a listing is, in words, and which parts of the page that shows.
import { count, plural, size } from "./format.js";
import { MAX_LISTED } from "./loading.js";

/** @typedef {{ state: FilesState, store: FileStore, view: ListingView, loading: Pick<FileListing, "state" | "error"> }} Shown */

/** @type {Record<ListingState, (so: string, store: Pick<FileStore, "names">) => string>} */
const TELLS = {
  loading: (so) => `${so} so far…`,
  offline: (so) => `${so} so far. S3 does not answer; it is tried again by itself…`,
  done: (so) => so,
  stopped: (so) => `${so} looked through, then stopped.`,
  full: () => `The first ${count(MAX_LISTED)} files. Go into a folder to see all of it.`,
  failed: (so, store) => (store.names.length ? `${so}, and then it failed.` : ""),
};

/** @param {Shown["loading"]} loading */
const isBusy = (loading) => loading.state === "loading" || loading.state === "offline";

/** @param {Shown} shown */
const countText = ({ state, store, view, loading }) => {
  const isNothing = !store.names.length && !store.folders.length;
  if (isNothing && loading.state === "loading") return "Loading…";
  const parts = [plural(store.names.length, "file"), size(store.bytes)];
  if (store.folders.length) parts.unshift(plural(store.folders.length, "folder"));
  const found = state.query ? `${count(view.length)} found in ` : "";
  return found + TELLS[loading.state](parts.join(", "), store);
};

/** @param {any} error */
const reasonOf = (error) => {
  if (error.code === "AccessDenied" || error.status === 403) {
    return "AWS refused to list this folder. Your access may have changed; load the page again.";
  }
  if (error.status === 0) return "S3 cannot be reached. Look whether you are on the network, then try again.";
  return `The folder could not be listed. ${error.message}`;
};

// `part(name)` gives a part of the page. `isLong`: it may take so long that it can be stopped.
/** @param {FilesPart} part @param {Shown & { isLong: boolean }} shown */
export const showStatus = (part, { state, store, view, loading, isLong }) => {
  const busy = isBusy(loading);
  const isFailed = loading.state === "failed";
  const isEmpty = view.length === 0;
  part("count").textContent = countText({ state, store, view, loading });
  // Screen readers hear the end and not each step on the way.
  if (!busy) part("said").textContent = part("count").textContent;
  part("stop").hidden = !(busy && isLong);
  part("table").setAttribute("aria-busy", String(busy));
  part("skeleton").hidden = !(isEmpty && busy);
  part("table").hidden = isEmpty;
  part("failed").hidden = !isFailed;
  if (isFailed) part("reason").textContent = reasonOf(loading.error);
  showEmpty(part, state, isEmpty && !busy, isFailed);
  part("all").hidden = isEmpty;
};

/**
 * @param {FilesPart} part
 * @param {Pick<FilesState, "query" | "isDeep">} state
 * @param {boolean} isEmpty
 * @param {boolean} isFailed
 */
const showEmpty = (part, { query, isDeep }, isEmpty, isFailed) => {
  part("empty").hidden = !(isEmpty && !isFailed && !query);
  part("none").hidden = !(isEmpty && query);
  part("none-text").textContent = `Nothing in this folder${isDeep ? " or below it" : ""} is called “${query}”.`;
  part("none-below").hidden = isDeep;
};
