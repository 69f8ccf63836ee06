import assert from "node:assert/strict";
import test from "node:test";
import { read, write } from "../../../web/files/static/files/url_state.js";

const NOTHING = { path: "", query: "", isDeep: false, by: "name", down: false, page: 0 };
globalThis.window = { location: { pathname: "/groups/lab/files/ephys/", search: "?path=here/" } };

test("what is written is read again", () => {
  const states = [
    NOTHING,
    { ...NOTHING, path: "inputs/a b/Ü&=?#/" },
    { ...NOTHING, path: "a//b/" },
    { ...NOTHING, query: "100 % & more", isDeep: true },
    { ...NOTHING, by: "size", down: true, page: 41 },
    { ...NOTHING, by: "date" },
  ];
  for (const state of states.slice(1)) assert.deepEqual(read(write(state)), state);
});

test("where nothing is special the address has no query", () => {
  assert.equal(write(NOTHING), "/groups/lab/files/ephys/");
  assert.deepEqual(read(""), NOTHING);
});

test("the page's own address is what counts", () => {
  assert.equal(read().path, "here/");
});

test("an address that somebody wrote by hand is taken for what it can mean", () => {
  assert.equal(read("?path=inputs").path, "inputs/");
  assert.deepEqual(read("?sort=colour&order=up&below=2&page=-3"), NOTHING);
  assert.deepEqual(read("?page=x"), NOTHING);
  assert.equal(read("?page=1").page, 0);
  assert.equal(read("?page=2").page, 1);
});
