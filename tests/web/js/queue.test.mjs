import assert from "node:assert/strict";
import test from "node:test";
import { Refused } from "../../../control_plane/research/storage/static/storage/site.js";
import { Queue } from "../../../web/uploads/static/uploads/queue.js";
import { AHEAD } from "../../../web/uploads/static/uploads/schedule.js";
import { Exists, Forgotten } from "../../../web/uploads/static/uploads/sending.js";

const LARGE = 20 * 2 ** 20;
const turn = () => new Promise(setImmediate);
const settle = async () => {
  for (let turns = 0; turns < 20; turns += 1) await turn();
};

// A queue, and what it asks of others. Files stay under way until `let go` of; `fails` gives what sending one ends with.
const make = ({ start, fails = () => null, isHeld = false } = {}) => {
  const here = {
    started: [],
    finished: [],
    removed: [],
    sending: new Map(),
    taken: new Map(),
    most: 0,
    mostLarge: 0,
    forgotten: 0,
  };
  let ids = 0;
  const answer = (file, index) => ({ status: "send", key: file.path, detail: "", can_retry: false, id: (ids += 1), index });
  const api = {
    start: async (folder, files) => {
      here.started.push([folder, files.map(({ path }) => path)]);
      return files.map((file, index) => ({ ...answer(file, index), ...start?.(file) }));
    },
    finish: async (files) => {
      here.finished.push(files);
      return files.map(({ id }) => ({ id, state: "complete", detail: "" }));
    },
    remove: async (removed) => here.removed.push(...removed),
  };
  const sender = {
    send: async (item, { signal, onTaken }) => {
      here.taken.set(item.path, onTaken);
      const { promise, resolve, reject } = Promise.withResolvers();
      here.sending.set(item.path, resolve);
      signal.addEventListener("abort", () => reject(new DOMException("Stopped.", "AbortError")));
      here.most = Math.max(here.most, here.sending.size);
      here.mostLarge = Math.max(here.mostLarge, [...here.sending.keys()].filter((path) => path.startsWith("large")).length);
      if (!isHeld) setImmediate(resolve);
      try {
        await promise;
      } finally {
        here.sending.delete(item.path);
      }
      const failure = fails(item);
      if (failure) throw failure;
      return {};
    },
    complete: async () => ({ checksum: "c", md5: "m", etag: "e" }),
  };
  const bucket = {
    prepare() {},
    forget: () => (here.forgotten += 1),
    head: async () => ({ size: 1, etag: "there", crc32: "AAAAAQ==" }),
  };
  here.queue = new Queue({
    api,
    sender,
    bucket,
    checksums: { of: async () => 1 },
    largestSingle: LARGE - 1,
    tell: (item) => (item.states ??= []).push(item.state),
  });
  here.add = (...items) => here.queue.add(items);
  return here;
};
const item = (path, size = 1, folder = "inputs/") => ({ path, folder, file: { size, lastModified: 1, type: "" } });
const many = (count, name, size) => Array.from({ length: count }, (_, index) => item(`${name}${index}`, size));

test("a few small files and two large ones want slots at the same time", async () => {
  const here = make({ isHeld: true });
  const items = [...many(5, "large", LARGE), ...many(20, "small")];
  here.add(...items);
  for (let rounds = 0; rounds < 40; rounds += 1) {
    await settle();
    for (const done of here.sending.values()) done();
  }
  await new Promise((resolve) => setTimeout(resolve, 1200));
  assert.deepEqual([here.most, here.mostLarge], [AHEAD.small + AHEAD.large, AHEAD.large]);
  assert.deepEqual(new Set(items.map(({ state }) => state)), new Set(["complete"]));
});

test("a file that has all of its slots lets another one want some, and its end lets in no other", async () => {
  const here = make({ isHeld: true });
  here.add(...many(20, "small"), ...many(4, "large", LARGE));
  await settle();
  for (const path of ["small0", "small1", "large0"]) here.taken.get(path)();
  await settle();
  assert.deepEqual(
    ["small4", "small5", "small6", "large1", "large2", "large3"].map((path) => here.sending.has(path)),
    [true, true, false, true, true, false],
  );
  here.sending.get("small0")();
  await settle();
  assert.deepEqual([here.sending.has("small0"), here.sending.has("small6")], [false, false]);
});

test("files are begun in groups: of one folder, as many as the control plane takes, four large ones among them", async () => {
  const here = make();
  here.add(...many(497, "small"), item("elsewhere", 1, "configs/"), ...many(6, "large", LARGE));
  for (let rounds = 0; rounds < 20; rounds += 1) await settle();
  assert.deepEqual(
    here.started.map(([folder, paths]) => [folder, paths.length]),
    [
      ["inputs/", 500],
      ["inputs/", 2],
      ["inputs/", 1],
      ["configs/", 1],
    ],
  );
});

test("neither small files nor large ones wait until all of the others were begun", async () => {
  for (const sizes of [
    [1, LARGE],
    [LARGE, 1],
  ]) {
    const here = make({ isHeld: true });
    here.add(...sizes.flatMap((size) => many(1000, size === 1 ? "small" : "large", size)));
    await settle();
    assert.deepEqual(
      [...here.sending.keys()].filter((path) => path.startsWith("large")),
      ["large0", "large1"],
    );
    assert.equal(here.sending.size, AHEAD.small + AHEAD.large);
    // One group; others are begun when few of it are left.
    assert.deepEqual(
      here.started.map(([, paths]) => paths.length),
      [500],
    );
  }
});

test("many small files are finished with few requests, and the last of all at once", async () => {
  const here = make();
  const items = many(30, "small");
  here.add(...items);
  for (let rounds = 0; rounds < 100 && here.finished.flat().length < 30; rounds += 1)
    await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(here.finished.flat().length, 30);
  assert.ok(here.finished.length <= 2, `${here.finished.length} requests`);
  assert.deepEqual(here.finished.at(-1).at(-1), { id: 30, checksum: "c", md5: "m", etag: "e" });
});

test("a paused file stops, another takes its place, and it is begun anew when it goes on", async () => {
  const here = make({ isHeld: true });
  const room = AHEAD.small;
  const items = many(room + 1, "small");
  here.add(...items);
  await settle();
  assert.equal(items[room].state, "waiting");
  here.queue.pause(items[0]);
  await settle();
  assert.deepEqual([items[0].state, items[room].state, here.sending.size], ["paused", "sending", room]);
  here.queue.resume(items[0]);
  await settle();
  assert.deepEqual([items[0].state, here.started.length], ["waiting", 2]);
});

test("while all is paused nothing begins", async () => {
  const here = make({ isHeld: true });
  const items = many(AHEAD.small + 2, "small");
  here.add(...items);
  await settle();
  here.queue.pauseAll();
  for (const done of here.sending.values()) done();
  await settle();
  assert.equal(here.sending.size, 0);
  here.queue.resumeAll();
  await settle();
  assert.equal(here.sending.size, 2);
});

test("what S3 forgot is begun anew twice, its old row is removed, and then one is told", async () => {
  const here = make({ fails: () => new Forgotten("Dropped; try it again.") });
  const file = item("a");
  here.add(file);
  await settle();
  await settle();
  assert.deepEqual([here.started.length, here.removed, file.state, file.canRetry], [3, [1, 2], "failed", true]);
  assert.match(file.message, /Dropped/);
});

test("a file that is given up is stopped, and what S3 has of it is removed", async () => {
  const here = make({ isHeld: true });
  const file = item("a");
  here.add(file);
  await settle();
  await here.queue.remove(file);
  await settle();
  assert.deepEqual([file.state, here.removed, here.sending.size, here.finished], ["removed", [1], 0, []]);
});

test("a file that was given up while it was begun is removed as soon as its row is known", async () => {
  const here = make();
  const file = item("a");
  here.add(file);
  await here.queue.remove(file);
  await settle();
  assert.deepEqual([file.state, here.removed, here.sending.size], ["removed", [1], 0]);
});

test("refused credentials are thrown away, so that the next try has new ones", async () => {
  const here = make({ fails: () => Object.assign(new Error("no"), { name: "S3Error", status: 403, code: "AccessDenied" }) });
  const file = item("a");
  here.add(file);
  await settle();
  assert.deepEqual([file.state, here.forgotten, file.canRetry], ["failed", 1, true]);
});

test("who is signed out is told so", async () => {
  const here = make({ fails: () => new Refused(401, "Sign in again.") });
  const [file, other] = [item("a"), item("b")];
  here.add(file);
  await settle();
  assert.deepEqual([file.state, file.isSignedOut, file.message], ["failed", true, "Sign in again."]);
  here.queue.pause(other);
});

test("the same content is skipped, other content is asked about, and replaces only what was seen", async () => {
  const existing = (checksum) => ({ status: "exists", id: null, existing: { size: 1, etag: "seen", checksum } });
  const here = make({ start: ({ path, replaces }) => (replaces ? {} : existing(path === "same" ? "AAAAAQ==" : "AAAAAg==")) });
  const [same, other] = [item("same"), item("other")];
  here.add(same, other);
  await settle();
  assert.deepEqual([same.state, other.state], ["same", "asks"]);
  here.queue.decide(other, true);
  await settle();
  assert.deepEqual([other.replaces, other.state], ["seen", "complete"]);
});

test("another that got ahead with the same content is as good as one's own", async () => {
  const here = make({ fails: () => new Exists() });
  const file = item("a");
  here.add(file);
  await new Promise((resolve) => setTimeout(resolve, 1200));
  assert.equal(file.state, "same");
  assert.deepEqual(here.finished, [[{ id: 1, checksum: "AAAAAQ==", md5: "", etag: "there" }]]);
});
