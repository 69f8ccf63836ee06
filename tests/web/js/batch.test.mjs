import assert from "node:assert/strict";
import test from "node:test";
import { Batch, pathOf } from "../../../web/uploads/static/uploads/batch.js";
import { readDropped } from "../../../web/uploads/static/uploads/entries.js";
import { Queue } from "../../../web/uploads/static/uploads/queue.js";
import { FileChanged } from "../../../web/uploads/static/uploads/checksums.js";
import { Refused } from "../../../control_plane/research/storage/static/storage/site.js";
import { Exists, Forgotten } from "../../../web/uploads/static/uploads/sending.js";

const fileOf = (text, lastModified = 1) => Object.assign(new Blob([text]), { lastModified });
const s3Error = (status, code) => Object.assign(new Error(code), { name: "S3Error", status, code });

// A page without a browser: `trouble` maps a key to what goes wrong at its next tries, one after the other.
const page = (trouble = {}) => {
  const held = new Map();
  const next = (id, at) => (trouble[id]?.[0]?.at === at ? trouble[id].shift() : null);
  const happen = (id, at) => {
    const one = next(id, at);
    if (one?.error) throw one.error;
    return one?.answer;
  };
  let ids = 0;
  const keys = new Map();
  const api = {
    start: async (folder, files) =>
      files.map(({ path }) => {
        const key = folder + path;
        const answer = happen(key, "start");
        ids += 1;
        keys.set(ids, key);
        return { status: "send", key, detail: "", can_retry: false, id: ids, upload_id: "", existing: null, ...answer };
      }),
    finish: async (files) => files.map(({ id }) => ({ id, state: "complete", detail: "", ...happen(keys.get(id), "finish") })),
    remove: async () => ({ removed: 1 }),
  };
  const sender = {
    send: async (item) => {
      happen(item.id, "send");
      held.set(item.id, await item.file.text());
      return {};
    },
    complete: async (item) => {
      happen(item.id, "complete");
      return { checksum: "c", etag: "e" };
    },
  };
  const bucket = {
    prepare() {},
    forget() {},
    head: async (key) => ({ size: held.get(key)?.length ?? 3, etag: "e", crc32: "other" }),
  };
  const queue = new Queue({ api, sender, bucket, checksums: { of: async () => 1 }, tell() {}, largestSingle: 2 ** 24 });
  const batch = new Batch({ queue });
  const settle = async () => {
    for (let turns = 0; turns < 300 && batch.isBusy(); turns += 1)
      await new Promise((resolve) => {
        setTimeout(resolve, 10);
      });
    assert.equal(batch.isBusy(), false, "something is still under way");
  };
  return { batch, queue, held, settle, add: (path, folder = "inputs/", text = path) => batch.take(fileOf(text), path, folder) };
};

const assertAddsUp = (batch) => {
  const { added, sent, skipped, refused, unreadable, asking, going, chosen } = batch.account();
  assert.equal(sent + skipped + refused.length + unreadable.length + asking + going + chosen, added);
};

test("paths that differ in case are all sent", async () => {
  const { batch, held, settle, add } = page();
  for (const path of ["in/Mouse1/settings.xml", "in/mouse1/settings.xml", "in/mouse1/Settings.xml"]) add(path, "inputs/", "AAAA");
  batch.start();
  await settle();
  assert.equal(held.size, 3);
  assert.deepEqual([batch.account().sent, batch.account().added], [3, 3]);
});

test("the same file to another folder is sent there, chosen before or after the first was sent", async () => {
  const { batch, held, settle, add } = page();
  add("tmpl.csv", "inputs/dayC/");
  add("tmpl.csv", "inputs/dayD");
  batch.start();
  await settle();
  add("tmpl.csv", "inputs/dayE/");
  batch.start();
  await settle();
  assert.deepEqual([...held.keys()], ["inputs/dayC/tmpl.csv", "inputs/dayD/tmpl.csv", "inputs/dayE/tmpl.csv"]);
  assert.equal(batch.account().sent, 3);
});

test("a file that is added again after it was sent is sent again, and both times are accounted for", async () => {
  const { batch, held, settle, add } = page();
  add("tmpl.csv");
  batch.start();
  await settle();
  held.clear();
  add("tmpl.csv");
  assert.equal(batch.chosen().length, 1);
  batch.start();
  await settle();
  assert.deepEqual([...held.keys()], ["inputs/tmpl.csv"]);
  assert.deepEqual([batch.account().sent, batch.account().added], [2, 2]);
});

test("of two files of one name one is sent, and the other is accounted for with the reason", async () => {
  const { batch, held, settle, add } = page();
  add("twin.txt", "inputs/", "first");
  add("twin.txt", "inputs/", "second");
  batch.start();
  assert.equal(add("twin.txt", "inputs/", "third"), null);
  assertAddsUp(batch);
  await settle();
  assert.equal(held.get("inputs/twin.txt"), "second");
  const { sent, refused, added } = batch.account();
  assert.deepEqual([sent, refused.length, added], [1, 2, 3]);
  assert.match(refused[0].message, /another file of this name after it/);
  assert.match(refused[1].message, /being sent to this folder already/);
  // The advice: when that one is done, it can be added again.
  assert.ok(add("twin.txt", "inputs/", "third"));
  batch.start();
  await settle();
  assert.equal(held.get("inputs/twin.txt"), "third");
});

// Everything that can become of a file, what the page advises, and the advice followed: then it is there. Meanwhile another is added.
const retry = ({ batch }, item) => batch.again(item);
const addAgain = ({ batch, add }) => {
  add("a.dat");
  batch.start();
};
const rename = ({ batch, add }) => {
  add("b.dat");
  batch.start();
};
const exists = { status: "exists", id: null, existing: { size: 3, etag: "e", checksum: "other" } };
const FATES = [
  ["S3 refuses", [{ at: "send", error: s3Error(403, "AccessDenied") }], "failed", /ask your group's manager/, retry],
  [
    "S3 does not know the credentials",
    [{ at: "send", error: s3Error(403, "InvalidToken") }],
    "failed",
    /try it again, with new ones/,
    retry,
  ],
  ["S3 has trouble for long", [{ at: "send", error: s3Error(503, "SlowDown") }], "failed", /try it again/, retry],
  ["it changed on the disk", [{ at: "send", error: new FileChanged() }], "failed", /add it again/, addAgain],
  ["it changed on the way", [{ at: "complete", error: new FileChanged(false) }], "failed", /add it again/, addAgain],
  ["it changed on the way, once", [{ at: "complete", error: new FileChanged(false) }], "failed", /not complete/, retry],
  [
    "S3 forgot it again and again",
    Array.from({ length: 3 }, () => ({ at: "send", error: new Forgotten("Dropped; try it again.") })),
    "failed",
    /try it again/,
    retry,
  ],
  [
    "signed out at the start",
    [{ at: "start", error: new Refused(401, "Sign in again, and press “Try again”.") }],
    "failed",
    /Try again/,
    retry,
  ],
  [
    "signed out at the end",
    [{ at: "finish", error: new Refused(401, "Sign in again, and press “Try again”.") }],
    "failed",
    /Try again/,
    retry,
  ],
  [
    "S3 holds something else",
    [{ at: "finish", answer: { state: "wrong", detail: "It was taken away again; send it anew." } }],
    "failed",
    /send it anew/,
    retry,
  ],
  [
    "it was given up elsewhere",
    [{ at: "finish", answer: { state: "removed", detail: "It was removed. Add the file again." } }],
    "failed",
    /Add the file again/,
    addAgain,
  ],
  ["the site fails", [{ at: "start", error: new Refused(409, "Try it later.") }], "failed", /later/, retry],
  [
    "a folder that takes no files",
    [{ at: "start", error: new Refused(422, "Set another folder, and add it again.") }],
    "failed",
    /add it again/,
    addAgain,
  ],
  [
    "its name is refused",
    [{ at: "start", answer: { status: "refused", detail: "Rename it, and add it again.", id: null } }],
    "failed",
    /Rename it, and add it again/,
    rename,
  ],
  [
    "another page sends it",
    [{ at: "start", answer: { status: "refused", detail: "Wait, and try again.", can_retry: true, id: null } }],
    "failed",
    /try again/,
    retry,
  ],
  [
    "another is there, and it is to be replaced",
    [{ at: "start", answer: exists }],
    "asks",
    /other content/,
    ({ queue }, item) => queue.decide(item, true),
  ],
  [
    "another got ahead of it",
    [{ at: "send", error: new Exists() }],
    "asks",
    /other content/,
    ({ queue }, item) => queue.decide(item, true),
  ],
];
for (const [name, trouble, state, words, follow] of FATES) {
  test(`the others go on, and the advice can be followed: ${name}`, async () => {
    const here = page({ "inputs/a.dat": [...trouble] });
    const { batch, held, settle, add } = here;
    const item = add("a.dat");
    batch.start();
    await settle();
    assert.equal(item.state, state);
    assert.match(item.message, words);
    assert.equal(item.canRetry || follow !== retry, true, "“Try again” is not offered");
    add("c.dat");
    batch.start();
    await settle();
    assert.ok(held.has("inputs/c.dat"));
    follow(here, item);
    await settle();
    assert.ok(held.has(follow === rename ? "inputs/b.dat" : "inputs/a.dat"));
    assertAddsUp(batch);
    assert.ok(batch.account().sent >= 2, JSON.stringify(batch.account()));
  });
}

test("trying again is not offered where it cannot help", async () => {
  const refused = { at: "start", answer: { status: "refused", detail: "Rename it, and add it again.", id: null } };
  const { batch, settle, add } = page({
    "inputs/a": [{ at: "send", error: new FileChanged() }],
    "inputs/b": [refused],
    "inputs/c": [{ at: "send", error: s3Error(403, "AccessDenied") }],
  });
  const items = ["a", "b", "c"].map((path) => add(path));
  batch.start();
  await settle();
  assert.deepEqual(
    items.map((item) => item.canRetry),
    [false, false, true],
  );
});

test("a file that S3 has whole is not sent again where only the site was not told", async () => {
  const { batch, held, settle, add } = page({ "inputs/a.dat": [{ at: "finish", error: new Refused(401, "Sign in again.") }] });
  const item = add("a.dat");
  batch.start();
  await settle();
  held.clear();
  batch.again(item);
  await settle();
  assert.deepEqual([item.state, held.size], ["complete", 0]);
});

test("what is kept, left out or taken out of the list is accounted for, and a new list begins at nothing", async () => {
  const { batch, queue, settle, add } = page({
    "inputs/kept": [{ at: "start", answer: exists }],
    "inputs/left": [{ at: "send", error: s3Error(403, "AccessDenied") }],
  });
  const [kept] = ["kept", "left", "out", "sent"].map((path) => add(path));
  await batch.remove("inputs/out");
  batch.start();
  await settle();
  queue.decide(kept, false);
  await batch.remove("inputs/left");
  const { sent, refused, added } = batch.account();
  assert.deepEqual([sent, refused.length, added], [1, 3, 4]);
  assert.deepEqual(
    refused.map(({ message }) => message.split(" ").slice(0, 3).join(" ")),
    ["You kept what", "You left it", "You took it"],
  );
  batch.close();
  assert.equal(batch.account().added, 4);
  add("next");
  assert.equal(batch.account().added, 1);
});

test("files that are added while others are paused are sent", async () => {
  const { batch, queue, held, settle, add } = page();
  queue.pauseAll();
  add("later.txt");
  batch.start();
  await settle();
  assert.ok(held.has("inputs/later.txt"));
});

test("chosen files go to the folder that was set then, until they are told to go to another", async () => {
  const { batch, held, settle, add } = page();
  add("a.csv", "inputs/dayC/");
  const moved = [];
  batch.moveChosen("inputs/dayD", (item, before) => moved.push([before, item.id]));
  assert.deepEqual(moved, [["inputs/dayC/a.csv", "inputs/dayD/a.csv"]]);
  batch.start();
  await settle();
  assert.deepEqual([...held.keys()], ["inputs/dayD/a.csv"]);
});

test("a backslash in a file's name is kept, where the browser made a slash of it in the path", () => {
  assert.equal(pathOf("a\\b.txt", "in/a/b.txt"), "in/a\\b.txt");
  assert.equal(pathOf("a\\b.txt", "in/a\\b.txt"), "in/a\\b.txt");
  assert.equal(pathOf("a\\b.txt", null), "a\\b.txt");
  assert.equal(pathOf("b.txt", "/in/a/b.txt"), "in/a/b.txt");
});

const fileEntry = (name, error = null) => ({
  name,
  isDirectory: false,
  file: (yes, no) => (error ? no(new Error(error)) : yes({ name })),
});
const folderEntry = (name, ...batches) => ({
  name,
  isDirectory: true,
  createReader: () => ({
    readEntries: (yes, no) => {
      const some = batches.shift() ?? [];
      if (some instanceof Error) no(some);
      else yes(some);
    },
  }),
});

test("one file of a dropped folder that cannot be read is named, and all others are handed over", async () => {
  const folder = folderEntry(
    "in",
    [fileEntry("a.txt"), fileEntry("", "not of the requested type")],
    [folderEntry("sub", [fileEntry("b.txt")]), folderEntry("shut", new Error("denied"))],
    [fileEntry("c.txt")],
  );
  const link = { kind: "file", webkitGetAsEntry: () => null, getAsFile: () => ({ name: "link", size: 0 }) };
  const { files, unreadable } = await readDropped({
    items: [{ kind: "file", webkitGetAsEntry: () => folder, getAsFile: () => null }, { kind: "string" }, link],
  });
  assert.deepEqual(
    files.map(({ path }) => path),
    ["in/a.txt", "in/sub/b.txt", "in/c.txt"],
  );
  assert.deepEqual(
    unreadable.map(({ path }) => path),
    ["in/(a name that the browser cannot read)", "in/shut", "link"],
  );
});
