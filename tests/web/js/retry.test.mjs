import assert from "node:assert/strict";
import test, { beforeEach } from "node:test";
import { FileChanged } from "../../../web/uploads/static/uploads/checksums.js";
import { persist } from "../../../web/uploads/static/uploads/retry.js";

globalThis.window = new EventTarget();
const error = (status, code = "", more = {}) =>
  Object.assign(new Error(code), { status, code, isConnection: status === 0, ...more });

// Waits end at once, and how long each would have been is kept. `isHeld`: they do not end by themselves.
const waits = [];
let isHeld = false;
globalThis.setTimeout = (work, ms) => {
  waits.push(ms);
  if (!isHeld) setImmediate(work);
};
globalThis.clearTimeout = () => {};

beforeEach(() => {
  waits.length = 0;
  isHeld = false;
  Math.random = () => 1;
});

// Work that ends so, one time after the other; the last of these for ever.
const workOf = (...ends) => {
  const work = async () => {
    work.times += 1;
    const end = ends.length > 1 ? ends.shift() : ends[0];
    if (end instanceof Error) throw end;
    return end;
  };
  work.times = 0;
  return work;
};
const times = (number, end) => Array.from({ length: number }, () => end);

test("what S3 has trouble with is tried eight times, with waits that double", async () => {
  for (const status of [429, 500, 502, 503, 504]) {
    waits.length = 0;
    const work = workOf(error(status, "SlowDown"));
    let slow = 0;
    await assert.rejects(persist(work, { onSlow: () => (slow += 1) }), { code: "SlowDown" });
    assert.deepEqual([work.times, slow], [8, 7], `status ${status}`);
    assert.deepEqual(waits, [500, 1000, 2000, 4000, 8000, 16_000, 30_000]);
  }
});

test("not all come back at the same moment: a wait is shortened by up to a half", async () => {
  Math.random = () => 0;
  await persist(workOf(error(503), "sent"), {});
  assert.deepEqual(waits, [250]);
});

test("a lost connection is waited for without end, and said", async () => {
  const said = [];
  const work = workOf(...times(60, error(0, "Connection")), "sent");
  assert.equal(await persist(work, { watch: (text) => said.push(text) }), "sent");
  assert.equal(work.times, 61);
  assert.equal(Math.max(...waits), 30_000);
  assert.deepEqual([said[0], said.at(-1)], ["No connection. Waiting for it.", ""]);
});

test("lost connections do not count among the tries", async () => {
  const work = workOf(...times(7, error(503)), ...times(20, error(0)), "sent");
  assert.equal(await persist(work, {}), "sent");
});

test("a refusal is told at once", async () => {
  for (const refusal of [
    error(403, "AccessDenied"),
    error(404, "NoSuchUpload"),
    error(412, "PreconditionFailed"),
    error(400, "BadDigest"),
  ]) {
    const work = workOf(refusal);
    await assert.rejects(persist(work, {}), (thrown) => thrown === refusal);
    assert.equal(work.times, 1);
  }
  assert.deepEqual(waits, []);
});

test("expired credentials are renewed at once, three times and no more", async () => {
  let renewed = 0;
  const work = workOf(error(400, "ExpiredToken", { isExpired: true }));
  await assert.rejects(persist(work, { renew: () => (renewed += 1) }), { code: "ExpiredToken" });
  assert.deepEqual([work.times, renewed, waits.length], [4, 3, 0]);
});

test("a conflict is a refusal, unless the same request may succeed after it: then it slows nothing", async () => {
  const conflict = error(409, "ConditionalRequestConflict");
  const care = { onSlow: () => assert.fail("slowed down") };
  await assert.rejects(persist(workOf(conflict, "sent"), care), { code: "ConditionalRequestConflict" });
  assert.equal(await persist(workOf(conflict, "sent"), { ...care, conflicts: true }), "sent");
  await assert.rejects(persist(workOf(conflict), { ...care, conflicts: true }), { code: "ConditionalRequestConflict" });
});

test("access that is being made ready is waited for in its own words", async () => {
  const said = [];
  const late = Object.assign(error(503, "BeingMadeReady"), { message: "Your access is being made ready on AWS." });
  await persist(workOf(late, "sent"), { watch: (text) => said.push(text) });
  assert.deepEqual(said, ["Your access is being made ready on AWS. Waiting for it.", ""]);
});

test("a file that changed is not tried again, also where it looks like a lost connection", async () => {
  const changed = workOf(new FileChanged());
  await assert.rejects(persist(changed, {}), FileChanged);
  const lost = workOf(error(0));
  const checkFile = async () => {
    throw new FileChanged();
  };
  await assert.rejects(persist(lost, { checkFile }), FileChanged);
  assert.deepEqual([changed.times, lost.times, waits.length], [1, 1, 0]);
});

test("who stops while it waits is not kept waiting, and nothing is tried again", async () => {
  isHeld = true;
  const stop = new AbortController();
  const work = workOf(error(0), "sent");
  const persisted = persist(work, { signal: stop.signal });
  await new Promise(setImmediate);
  stop.abort();
  await assert.rejects(persisted, { name: "AbortError" });
  assert.equal(work.times, 1);
});

test("as soon as the connection is back it goes on", async () => {
  isHeld = true;
  const persisted = persist(workOf(error(0), "sent"), {});
  await new Promise(setImmediate);
  globalThis.window.dispatchEvent(new Event("online"));
  assert.equal(await persisted, "sent");
});
