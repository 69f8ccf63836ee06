import assert from "node:assert/strict";
import test from "node:test";
import { Sender } from "../../../web/uploads/static/uploads/sender.js";

const SINGLE = 1000;
const PART = 500;
const settle = async () => {
  for (let turns = 0; turns < 30; turns += 1) await new Promise(setImmediate);
};
const answer = (status, code) =>
  Object.assign(new Error(code), { name: "S3Error", status, code, isConnection: false, isExpired: false });
const fileOf = (path, size = 3, folder = "inputs/") => ({
  file: Object.assign(new Blob(["x".repeat(size)]), { lastModified: 1 }),
  path,
  folder,
});

// A control plane and an S3 that hold what they are sent. `trouble` gives what is answered to a key instead; requests that are `isHeld`
// stay under way.
const make = ({ trouble = () => null, start = () => ({}) } = {}) => {
  const here = { told: [], held: new Set(), removed: [], put: [], isHeld: false, going: [] };
  let ids = 0;
  const begin = (folder, { path, size, replaces }) => ({
    status: "send",
    key: folder + path,
    id: (ids += 1),
    detail: "",
    can_retry: false,
    upload_id: size > SINGLE ? "u" : "",
    part_size: PART,
    is_resumed: false,
    ...start(path, replaces),
  });
  const api = {
    start: async (folder, files) => files.map((file) => begin(folder, file)),
    finish: async (files) => files.map(({ id }) => ({ id, state: "complete", detail: "" })),
    remove: async (removed) => here.removed.push(...removed),
  };
  const put = (key, blob, { signal, onProgress }) =>
    new Promise((resolve, reject) => {
      signal.throwIfAborted();
      signal.addEventListener("abort", () => reject(new DOMException("Stopped.", "AbortError")));
      here.put.push(key);
      onProgress?.(blob.size);
      const error = trouble(key);
      const end = () => (error ? reject(error) : resolve(() => '"e"'));
      if (here.isHeld) here.going.push(end);
      else setImmediate(end);
    }).then((header) => {
      here.held.add(key);
      return header;
    });
  const bucket = {
    put,
    prepare() {},
    forget() {},
    parts: async () => new Map(),
    complete: async () => ({ etag: '"whole"' }),
    head: async () => ({ size: 3, etag: "there", crc32: "other" }),
  };
  const checksums = { of: async () => 1, read: async () => ({ crc: 1, md5: "m", bytes: null }) };
  here.sender = new Sender({ api, bucket, checksums, limits: { largestSingle: SINGLE } });
  for (const name of ["changed", "progress", "complete", "asks", "failed", "replaced", "idle"])
    here.sender.on(name, (item) => here.told.push([name, item?.path ?? null, item?.state ?? null]));
  here.names = (name) => here.told.filter(([told]) => told === name).map(([, path]) => path);
  here.idle = () => new Promise((resolve) => here.sender.on("idle", resolve, { once: true }));
  return here;
};

test("files are sent without any page, and it is told how each goes and when all are done", async () => {
  assert.deepEqual([typeof document, typeof window, typeof XMLHttpRequest], ["undefined", "undefined", "undefined"]);
  const here = make();
  here.sender.add([fileOf("a"), fileOf("large", 1700), fileOf("b", 0)]);
  await here.idle();
  assert.deepEqual([...here.held].sort(), ["inputs/a", "inputs/b", "inputs/large"]);
  assert.equal(here.put.filter((key) => key === "inputs/large").length, 4);
  assert.deepEqual(here.names("complete").sort(), ["a", "b", "large"]);
  assert.ok(here.names("progress").includes("large"));
  assert.deepEqual(
    here.told.filter(([name, path]) => name === "changed" && path === "a").map(([, , state]) => state),
    ["waiting", "sending", "finishing", "complete"],
  );
  assert.deepEqual([here.names("idle").length, here.told.at(-1)[0], here.sender.batch.percent()], [1, "idle", 100]);
});

test("what is handed over and not begun waits for the start", async () => {
  const here = make();
  const { file, path, folder } = fileOf("a");
  here.sender.batch.take(file, path, folder);
  await settle();
  assert.deepEqual(here.put, []);
  assert.deepEqual(
    here.sender.start().map((item) => item.path),
    ["a"],
  );
  await here.idle();
  assert.deepEqual(here.put, ["inputs/a"]);
});

test("one file is stopped and resumed, or all of them", async () => {
  const here = make();
  here.isHeld = true;
  const [first, second] = here.sender.add([fileOf("a"), fileOf("b")]);
  await settle();
  here.sender.stop(first);
  assert.deepEqual([first.state, second.state], ["paused", "sending"]);
  here.sender.stop();
  await settle();
  assert.deepEqual([first.state, second.state, here.names("idle")], ["paused", "paused", []]);
  here.isHeld = false;
  here.sender.resume();
  await here.idle();
  assert.deepEqual([first.state, second.state], ["complete", "complete"]);
});

test("a file that is forgotten stops, and what S3 has of it is removed", async () => {
  const here = make();
  here.isHeld = true;
  const [item] = here.sender.add([fileOf("large", 1700)]);
  await settle();
  assert.ok(here.sender.sends(item.started.id));
  await here.sender.forget(item);
  assert.deepEqual([here.removed, here.sender.batch.get(item.id), here.names("idle").length], [[1], undefined, 1]);
  assert.equal(here.sender.sends(1), false);
  // Once more changes nothing, also where another file of its name has come.
  here.sender.add([fileOf("large", 1700)]);
  await here.sender.forget(item);
  assert.equal(here.sender.batch.get(item.id).state, "sending");
});

test("what is there with other content is asked about, and the answer followed", async () => {
  const existing = { status: "exists", id: null, existing: { size: 3, etag: "seen", checksum: "other" } };
  const here = make({ start: (_path, replaces) => (replaces ? {} : existing) });
  const [kept, replaced] = here.sender.add([fileOf("kept"), fileOf("replaced")]);
  await here.idle();
  assert.deepEqual(here.names("asks"), ["kept", "replaced"]);
  here.sender.answer(kept, false);
  here.sender.answer(replaced, true);
  await here.idle();
  assert.deepEqual([kept.state, replaced.state, here.put], ["kept", "complete", ["inputs/replaced"]]);
});

test("a failure is told once, the others go on, and the file is tried again when told", async () => {
  let refusals = 1;
  const here = make({ trouble: (key) => (key === "inputs/a" && refusals-- > 0 ? answer(403, "AccessDenied") : null) });
  const [item] = here.sender.add([fileOf("a"), fileOf("b")]);
  await here.idle();
  assert.deepEqual([here.names("failed"), here.names("complete")], [["a"], ["b"]]);
  here.sender.again(item);
  await here.idle();
  assert.equal(item.state, "complete");
});

test("of two files of one name, the first is told to be replaced, unless it is on its way", async () => {
  const here = make();
  here.sender.add([fileOf("a")]);
  assert.deepEqual(here.sender.add([fileOf("a")]), []);
  await here.idle();
  assert.deepEqual(here.names("replaced"), []);
  here.sender.add([fileOf("a")]);
  await here.idle();
  assert.deepEqual([here.names("replaced"), here.put.length], [["a"], 2]);
});

test("a listener is told until it is taken away", async () => {
  const here = make();
  const stop = new AbortController();
  const told = [];
  here.sender.on("complete", (item) => told.push(item.path), { signal: stop.signal });
  here.sender.add([fileOf("a")]);
  await here.idle();
  stop.abort();
  here.sender.add([fileOf("b")]);
  await here.idle();
  assert.deepEqual(told, ["a"]);
});

test("it is told for how long nothing has moved of what is being sent", async () => {
  const here = make();
  assert.equal(here.sender.stillFor(performance.now() + 60_000), 0);
  here.isHeld = true;
  here.sender.add([fileOf("a")]);
  await settle();
  assert.equal(Math.floor(here.sender.stillFor(performance.now() + 30_000)), 30);
  here.isHeld = false;
  for (const end of here.going) end();
  await here.idle();
  assert.equal(here.sender.stillFor(performance.now() + 30_000), 0);
});

test("the rate is that of the bytes that left, and nothing where all is done", async () => {
  const here = make();
  here.isHeld = true;
  here.sender.add([fileOf("large", 1700)]);
  assert.equal(here.sender.rate(0), 0);
  await settle();
  // Two parts side by side at first.
  assert.equal(here.sender.rate(1000), 2 * PART);
  here.isHeld = false;
  for (const end of here.going) end();
  await here.idle();
  assert.equal(here.sender.rate(2000), 0);
});
