import assert from "node:assert/strict";
import test from "node:test";
import { Loading } from "../../../web/files/static/files/loading.js";
import { labelOf, ListingStore } from "../../../web/files/static/files/listing_store.js";

globalThis.window = new EventTarget();
const HIDDEN = { names: ["update.txt"], within: ["internal_ec2_logs"] };
const ORDER = { query: "", by: "name", down: false };

// What the page shows of a folder that S3 lists so.
const shown = async (prefix, sizes, folders = []) => {
  const store = new ListingStore();
  const objects = Object.entries(sizes).map(([key, size]) => ({ key, size, modified: "2026-11-20T10:00:00Z" }));
  const bucket = { list: async () => ({ objects, folders, next: "" }) };
  await new Loading({ bucket, prefix, isDeep: false, store, hidden: HIDDEN, tell: () => {} }).run();
  const view = store.view(ORDER);
  return { view, rows: Array.from({ length: view.length }, (_, index) => store.row(view, index)) };
};

test("a folder's marker that has content is shown as a file that comes with its folder", async () => {
  const { rows, view } = await shown("lab/inputs/", { "lab/inputs/": 12, "lab/inputs/a": 0, "lab/inputs/deep/": 3 });
  assert.deepEqual(
    rows.map((row) => [row.name, row.size, row.isMarker]),
    [
      ["", 12, true],
      ["a", 0, false],
      ["deep/", 3, true],
    ],
  );
  assert.equal(view.choosable, 1);
  assert.deepEqual(rows.map(labelOf), ["(content of this folder’s marker)", "a", "deep/ (content of the folder’s marker)"]);
});

test("a folder's marker without content is the folder and no file", async () => {
  const { rows } = await shown("lab/inputs/", { "lab/inputs/": 0, "lab/inputs/a": 1, "lab/inputs/deep/": 0 }, [
    "lab/inputs/./",
    "lab/inputs//",
  ]);
  assert.deepEqual(rows.map(labelOf), [".", "(no name)", "a"]);
});
