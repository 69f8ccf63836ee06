import assert from "node:assert/strict";
import test from "node:test";
import { savable, visible, visibleLines } from "../../../control_plane/static/cohort/visible.js";

test("what reorders a name or hides in it is shown as its number", () => {
  assert.equal(visible("photo\u202egpj.exe"), "photo\\u202egpj.exe");
  assert.equal(visible("a\u200bb\ufe0f\u3164\u2800\x07"), "a\\u200bb\\ufe0f\\u3164\\u2800\\u0007");
  assert.equal(visible("\u{e0041}\ud800"), "\\u{e0041}\\ud800");
});

test("what can be seen is shown as it is, in any script", () => {
  for (const name of ["Olúwaṣẹ́gun.csv", "王小明 β2AR.nd2", "ملف.txt", "नरेन्द्र", "a b_c-(1)", "😀.png"])
    assert.equal(visible(name), name);
});

test("a log keeps its lines", () => {
  assert.equal(visibleLines("read a\u202eb\n\tdone\r\n"), "read a\\u202eb\n\tdone\r\n");
});

test("a file is saved under a name that nothing turns about", () => {
  assert.equal(savable("photo\u202egpj.exe"), "photo_gpj.exe");
  assert.equal(savable("می\u200cخواهم.txt"), "می\u200cخواهم.txt");
});
