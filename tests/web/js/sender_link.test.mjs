// The whole sender on a simulated link: what the schedule promises holds with checksums, groups and completions around it.
import assert from "node:assert/strict";
import test from "node:test";
import { Concurrency } from "../../../web/uploads/static/uploads/concurrency.js";
import { Sender } from "../../../web/uploads/static/uploads/sender.js";
import { Link } from "./link.mjs";

const MIB = 2 ** 20;
const PART = 16 * MIB;
const MEGABIT = 1e6 / 8;
const blobOf = (size) => ({ size, type: "", lastModified: 1, slice: (from, to) => blobOf(Math.min(to, size) - from) });
const filesOf = (name, count, size) =>
  Array.from({ length: count }, (_, number) => ({ file: blobOf(size), path: `${name}${number}`, folder: "inputs/" }));

// Somebody who has these files sent over the link. S3 takes `completion` seconds to put one together.
const begin = (link, files, { completion = 0 } = {}) => {
  const requests = { start: 0, finish: 0, sizes: [], completed: [], isDone: false };
  const later = (seconds) => new Promise((resolve) => link.request(0, resolve, undefined, seconds));
  let ids = 0;
  const started = ({ path, size }) => ({
    status: "send",
    key: path,
    id: (ids += 1),
    upload_id: size > PART ? "u" : "",
    part_size: PART,
    is_resumed: false,
  });
  const api = {
    start: async (_folder, asked) => {
      requests.start += 1;
      return asked.map(started);
    },
    finish: async (asked) => {
      requests.finish += 1;
      return asked.map(({ id }) => ({ id, state: "complete", detail: "" }));
    },
    remove: async () => {},
  };
  const bucket = {
    prepare() {},
    forget() {},
    put: (_key, { size }, { onProgress }) => {
      requests.sizes.push(size);
      return new Promise((resolve) => link.request(size, () => resolve(() => '"e"'), onProgress));
    },
    complete: async (key) => {
      await later(completion);
      requests.completed.push([key, link.bytes]);
      return { etag: '"e"' };
    },
  };
  const checksums = { of: async () => 1, read: async () => ({ crc: 1, md5: "m", bytes: null }) };
  const concurrency = new Concurrency({ now: () => 1000 * link.now });
  const sender = new Sender({ api, bucket, checksums, concurrency, limits: { largestSingle: PART } });
  sender.on("idle", () => (requests.isDone = true));
  sender.add(files);
  return { requests, sender };
};

const send = async (link, files, options) => {
  const { requests, sender } = begin(link, files, options);
  while (!requests.isDone) {
    await new Promise(setImmediate);
    if (link.isBusy) link.step();
  }
  const account = sender.batch.account();
  assert.deepEqual([account.sent, account.added], [files.length, files.length]);
  return { ...requests, seconds: link.now };
};

const LOADS = {
  "1 GiB alone": filesOf("large", 1, 1024 * MIB),
  "2,000 files of 100 kB": filesOf("small", 2000, 100_000),
  "both, the small files first": [...filesOf("small", 2000, 100_000), ...filesOf("large", 1, 1024 * MIB)],
  "both, the large file first": [...filesOf("large", 1, 1024 * MIB), ...filesOf("small", 2000, 100_000)],
};
for (const [what, files] of Object.entries(LOADS)) {
  test(`the link stays full from the first byte to the last: ${what}`, async (context) => {
    const link = new Link({ rate: 100 * MEGABIT, before: 0.03, after: 0.02 });
    const { seconds, sizes } = await send(link, files);
    const over = 100 * (seconds / link.least(sizes, 6) - 1);
    context.diagnostic(`${seconds.toFixed(2)} s, ${over.toFixed(1)} % over the least; idle ${link.longestIdle.toFixed(3)} s`);
    assert.ok(link.longestIdle <= 0.2, `${link.longestIdle} s`);
    assert.ok(over <= 5, `${over} %`);
  });
}

test("files of two parts each follow one another without a gap", async () => {
  const link = new Link({ rate: 1000 * MEGABIT, before: 0.15, after: 0.05 });
  const { seconds, sizes } = await send(link, filesOf("large", 200, 17 * MIB));
  assert.ok(seconds < 1.05 * link.least(sizes, 6), `${seconds} s`);
  assert.ok(link.longestIdle <= 0.2, `${link.longestIdle} s`);
});

test("files are put together while the next ones go, in their order", async () => {
  const link = new Link({ rate: 100 * MEGABIT, before: 0.03, after: 0.02 });
  const { completed, seconds } = await send(link, filesOf("large", 4, 10 * PART), { completion: 4 });
  assert.deepEqual(
    completed.map(([key]) => key),
    ["large0", "large1", "large2", "large3"],
  );
  // When the first was complete, the second had been under way for all of the four seconds.
  assert.ok(completed[0][1] > 13 * PART, `${completed[0][1] / PART} parts`);
  // Only the last is waited for.
  assert.ok(seconds < (40 * PART) / link.rate + 4 + 1, `${seconds} s`);
});

test("four people on one link starve nobody, whatever each sends", async () => {
  const link = new Link({ rate: 100 * MEGABIT, before: 0.03, after: 0.02 });
  const people = [
    filesOf("a", 2, 1024 * MIB),
    filesOf("b", 1, 1024 * MIB),
    filesOf("c", 40, 15 * MIB),
    filesOf("d", 3000, 100_000),
  ].map((files) => begin(link, files));
  while (link.now < 60) {
    await new Promise(setImmediate);
    link.step();
  }
  const bytes = people.map(({ sender }) => [...sender.batch.items()].reduce((sum, { sent = 0 }) => sum + sent, 0));
  // A quarter is everybody's for those whose requests are mostly bytes. Small files, which are mostly delay, want less than that.
  const fair = link.bytes / 4;
  assert.ok(Math.min(...bytes.slice(0, 3)) > fair / 3, `${bytes.map((one) => (one / fair).toFixed(2))}`);
  assert.ok(bytes[3] > fair / 5, `${(bytes[3] / fair).toFixed(2)}`);
});
