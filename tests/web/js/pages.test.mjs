// Lists in several lanes: whatever the names are, all of them come once and in order, as from one lane; and what that costs.
import assert from "node:assert/strict";
import { test } from "node:test";
import { guesses } from "../../../web/files/static/files/guesses.js";
import { isAfter, pages } from "../../../web/files/static/files/pages.js";

globalThis.window = new EventTarget();
const PAGE = 10;
const compare = (one, other) => Buffer.compare(Buffer.from(one), Buffer.from(other));

// S3, as far as a list goes: rows by the bytes of their names, after a name or where the last answer ended.
const s3Of = (names, { delimiter = "", fails = () => false } = {}) => {
  const cut = (name) => {
    const at = delimiter ? name.indexOf(delimiter) : -1;
    return at < 0 ? name : name.slice(0, at + 1);
  };
  const rows = [...new Set(names.map(cut))].sort(compare);
  const asked = [];
  const list = async ({ after, token }) => {
    asked.push(token || after);
    // Answers come in any order.
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 3));
    if (fails(asked.length)) throw Object.assign(new Error("gone"), { status: 0 });
    const left = rows.filter((row) => !(token || after) || compare(row, token || after) > 0);
    const page = left.slice(0, PAGE);
    return {
      objects: page.filter((row) => !delimiter || !row.endsWith(delimiter)).map((key) => ({ key, size: 1 })),
      folders: page.filter((row) => delimiter && row.endsWith(delimiter)),
      next: left.length > PAGE ? page.at(-1) : "",
    };
  };
  return { list, asked, rows };
};

const all = async (s3, delimiter = "") => {
  const found = { keys: [], folders: [], last: [] };
  for await (const page of pages(s3, { prefix: "", delimiter, signal: new AbortController().signal, stretch: PAGE - 1 })) {
    found.keys.push(...page.objects.map(({ key }) => key));
    found.folders.push(...page.folders);
    found.last.push(page.isLast);
  }
  return found;
};

const padded = (number, width) => String(number).padStart(width, "0");
const many = (count, name) => Array.from({ length: count }, (_, index) => name(index));
// The same at each run.
const random = ((state) => () => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return state / 2 ** 32;
})(7);
const hex = () => padded(Math.floor(random() * 2 ** 48).toString(16), 12);
const NAMES = {
  "none at all": [],
  "fewer than a page": many(7, (index) => `frame_${index}`),
  "numbers in a row": many(500, (index) => `frame_${padded(index, 6)}.tif`),
  "numbers without zeros before them": many(500, (index) => `frame${index}`),
  "every seventh number": many(300, (index) => `img-${padded(index * 7, 8)}`),
  checksums: many(300, hex),
  "checksums in capitals": many(300, () => hex().toUpperCase()),
  "numbers beyond what is exact": many(200, (index) => `t${"9".repeat(20)}${padded(index, 4)}`),
  "many sessions": many(300, (index) => `session_${padded(Math.floor(index / 25), 2)}/frame_${padded(index % 25, 4)}`),
  dates: many(300, (index) => new Date(index * 86_400_000).toISOString()),
  "a crowd after a gap": [...many(30, (index) => `a${padded(index, 4)}`), ...many(200, (index) => `a5${padded(index, 4)}`)],
  words: many(200, () => many(4, () => String.fromCharCode(103 + Math.floor(random() * 20))).join("")),
  "characters that UTF-16 orders in another way": many(
    200,
    (index) => `${["\u{1f600}", "\uffee", "é"][index % 3]}${padded(index, 3)}`,
  ),
  "folders among files": many(300, (index) => (index % 3 ? `${padded(index, 4)}.dat` : `${padded(index, 4)}/inside/${index}`)),
};

for (const [what, names] of Object.entries(NAMES)) {
  for (const delimiter of ["", "/"]) {
    test(`${what}${delimiter && ", by folder"}: each comes once and in order`, async () => {
      const s3 = s3Of([...new Set(names)], { delimiter });
      const { keys, folders, last } = await all(s3, delimiter);
      assert.deepEqual(
        keys,
        s3.rows.filter((row) => !delimiter || !row.endsWith("/")),
      );
      assert.deepEqual(
        folders,
        s3.rows.filter((row) => delimiter && row.endsWith("/")),
      );
      // The last page alone says that it is the last.
      assert.deepEqual(last, [...last.slice(1).fill(false), true]);
      const needed = Math.max(1, Math.ceil(s3.rows.length / PAGE));
      assert.ok(s3.asked.length <= 1.5 * needed + 4, `${s3.asked.length} requests where ${needed} would do`);
    });
  }
}

test("numbers in a row are asked for by several requests at once; names that tell nothing, one after the other", async () => {
  const mostAtOnce = async (names) => {
    const s3 = s3Of(names);
    let [now, most] = [0, 0];
    const list = (place) => {
      most = Math.max(most, (now += 1));
      return s3.list(place).finally(() => (now -= 1));
    };
    await all({ list });
    return most;
  };
  const most = await mostAtOnce(NAMES["numbers in a row"]);
  // A browser has six connections to a host, and others need one too.
  assert.ok(most === 4 || most === 5, `${most} at once`);
  assert.equal(await mostAtOnce(NAMES.words), 1);
});

test("a request that fails is made again, whichever lane it was of", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const s3 = s3Of(NAMES["numbers in a row"], { fails: (number) => number % 5 === 4 });
  let isOver = false;
  const found = all(s3).finally(() => (isOver = true));
  while (!isOver) {
    context.mock.timers.tick(1000);
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.deepEqual((await found).keys, s3.rows);
});

test("what comes after what is decided as S3 does it: by the bytes of UTF-8", () => {
  const names = ["", "a", "a0", "a/", "b", "é", "é0", "\ud7ff", "\ue000", "\uffee", "\u{1f600}", "\u{1f600}0", "\u{10ffff}"];
  for (const one of names) for (const other of names) assert.equal(isAfter(one, other), compare(one, other) > 0);
});

test("a guess lies after the last name, and before the next one", () => {
  for (const [first, last] of [
    ["a000", "a009"],
    ["f1", "f1898"],
    ["00ab", "02f0"],
    ["t99999999999999999999", "t99999999999999999999999"],
  ]) {
    const found = [last, ...guesses({ first, last, count: 1000 }, 4)];
    for (let at = 1; at < found.length; at += 1) assert.ok(isAfter(found[at], found[at - 1]), found.join(" "));
  }
  assert.deepEqual(guesses({ first: "alice", last: "zoe", count: 9 }, 4), []);
  assert.deepEqual(guesses({ first: "a1", last: "a1", count: 1 }, 4), []);
  assert.deepEqual(guesses({ first: "a0", last: "a9", count: 940 }, 4), []);
});
