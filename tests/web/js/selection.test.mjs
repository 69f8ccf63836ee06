import assert from "node:assert/strict";
import test from "node:test";
import { Selection } from "../../../web/files/static/files/selection.js";

const SHOWN = ["a/", "b", "c", "d", "e"];

test("names are ticked and unticked, whichever page they stand on", () => {
  const selection = new Selection();
  selection.set("b", true);
  selection.set("elsewhere", true);
  selection.set("b", false);
  assert.deepEqual([...selection.names], ["elsewhere"]);
  assert.deepEqual([selection.has("elsewhere"), selection.has("b")], [true, false]);
});

test("with the shift key all between the last one and this one follow, in either direction", () => {
  const down = new Selection();
  down.set("b", true, { shown: SHOWN });
  down.set("d", true, { isRange: true, shown: SHOWN });
  assert.deepEqual([...down.names], ["b", "c", "d"]);
  down.set("c", false, { isRange: true, shown: SHOWN });
  assert.deepEqual([...down.names], ["b"]);
  const up = new Selection();
  up.set("e", true, { shown: SHOWN });
  up.set("c", true, { isRange: true, shown: SHOWN });
  assert.deepEqual([...up.names].sort(), ["c", "d", "e"]);
});

test("where the last one is not on show, the shift key ticks this one alone", () => {
  const selection = new Selection();
  selection.set("b", true, { isRange: true, shown: SHOWN });
  assert.deepEqual([...selection.names], ["b"]);
  selection.set("elsewhere", true);
  selection.set("d", true, { isRange: true, shown: SHOWN });
  assert.deepEqual([...selection.names], ["b", "elsewhere", "d"]);
});

test("after choosing none, a range begins anew", () => {
  const selection = new Selection();
  selection.set("b", true, { shown: SHOWN });
  selection.clear();
  selection.set("d", true, { isRange: true, shown: SHOWN });
  assert.deepEqual([...selection.names], ["d"]);
});

test("folders and files are told apart by the slash", () => {
  const selection = new Selection();
  selection.setAll(SHOWN, true);
  assert.deepEqual([selection.folders, selection.files], [["a/"], ["b", "c", "d", "e"]]);
  selection.setAll(["a/", "e"], false);
  assert.deepEqual([selection.folders, selection.files], [[], ["b", "c", "d"]]);
});
