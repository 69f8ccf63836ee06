import assert from "node:assert/strict";
import test from "node:test";
import { AHEAD, Schedule } from "../../../web/uploads/static/uploads/schedule.js";
import { Link } from "./link.mjs";

const MIB = 2 ** 20;
const PART = 16 * MIB;
const OWN = { all: 6, hosts: [{ name: "own", most: 6 }] };
const small = (order, bytes = 1000) => ({ kind: "small", bytes, order });
const part = (order, bytes = PART) => ({ kind: "part", bytes, order });

// Claims that wait for ever, one of each kind: which kinds have slots after so many have begun.
const begun = (schedule, times, slots, waiting = [small(0), part(1)]) =>
  Array.from({ length: times }, () => schedule.begin(waiting, slots)?.claim.kind ?? null);

test("nothing begins where nothing waits or nothing is free", () => {
  assert.equal(new Schedule().begin([], OWN), null);
  assert.equal(new Schedule().begin([small(0)], { all: 0, hosts: OWN.hosts }), null);
  assert.equal(new Schedule().begin([small(0)], { all: 6, hosts: [] }), null);
});

test("while both kinds wait each has a slot, and parts have one in six", () => {
  assert.deepEqual(begun(new Schedule(), 7, OWN).toSorted(), [null, "part", "small", "small", "small", "small", "small"]);
  assert.deepEqual(begun(new Schedule(), 2, { ...OWN, all: 2 }).toSorted(), ["part", "small"]);
  const many = begun(new Schedule(), 16, { all: 16, hosts: [{ name: "own", most: 16 }] });
  assert.equal(many.filter((kind) => kind === "part").length, 2);
});

test("one kind alone has all slots, and gives the next ones to the other as soon as that waits", () => {
  const schedule = new Schedule();
  const parts = Array.from({ length: 6 }, () => schedule.begin([part(0)], OWN));
  assert.equal(schedule.begin([small(1), part(0)], OWN), null);
  for (const { claim, host } of parts.slice(0, 5)) {
    schedule.end(claim, host);
    assert.equal(schedule.begin([small(1), part(0)], OWN).claim.kind, "small");
  }
  schedule.end(parts[5].claim, parts[5].host);
  assert.equal(schedule.begin([small(1), part(0)], OWN).claim.kind, "part");
});

test("with one slot for both each kind has it for as long", () => {
  const schedule = new Schedule();
  const bytes = { small: 0, part: 0 };
  for (let times = 0; times < 90; times += 1) {
    const { claim, host } = schedule.begin([small(0, MIB), part(1)], { ...OWN, all: 1 });
    bytes[claim.kind] += claim.bytes;
    schedule.end(claim, host);
  }
  assert.ok(Math.abs(bytes.small - bytes.part) <= PART, JSON.stringify(bytes));
});

test("of one kind, the file that began first goes first", () => {
  const schedule = new Schedule();
  assert.equal(schedule.begin([part(7), part(3), part(5)], OWN).claim.order, 3);
  assert.equal(schedule.begin([small(2), small(1)], OWN).claim.order, 1);
});

test("no host gets more than it takes, and the earlier ones are used first", () => {
  const schedule = new Schedule();
  const slots = {
    all: 16,
    hosts: ["own", "path", "dual"].map((name) => ({ name, most: 6 })),
  };
  const given = Array.from({ length: 16 }, () => schedule.begin([small(0)], slots).host);
  assert.deepEqual(given, [...Array(6).fill("own"), ...Array(6).fill("path"), ...Array(4).fill("dual")]);
  assert.equal(schedule.begin([small(0)], slots), null);
  schedule.end(small(0), "path");
  assert.equal(schedule.begin([small(0)], slots).host, "path");
  assert.equal(schedule.used, 16);
});

// --- On a simulated link

// Send files of these sizes by the schedule: small ones have their checksums worked out ahead, and large ones offer one part at a time.
const send = (link, files, slots = OWN) => {
  const schedule = new Schedule();
  const begin = files.map((size, order) => ({ left: size, order }));
  const queues = { small: begin.filter(({ left }) => left <= PART), part: begin.filter(({ left }) => left > PART) };
  const sizes = [];
  const ends = { small: 0, part: 0 };
  // What the link had carried when each file was through.
  const carried = [];
  const offered = () => [
    ...queues.small.slice(0, AHEAD.small).map((file) => ({ ...small(file.order, file.left), file })),
    ...queues.part.slice(0, AHEAD.large).map((file) => ({ ...part(file.order, Math.min(PART, file.left)), file })),
  ];
  const fill = () => {
    for (let next = schedule.begin(offered(), slots); next; next = schedule.begin(offered(), slots)) {
      const { claim, host } = next;
      sizes.push(claim.bytes);
      claim.file.left -= claim.bytes;
      if (!claim.file.left) queues[claim.kind].splice(queues[claim.kind].indexOf(claim.file), 1);
      link.request(claim.bytes, () => {
        schedule.end(claim, host);
        ends[claim.kind] = link.now;
        carried[claim.order] = link.bytes;
        fill();
      });
    }
  };
  fill();
  while (link.isBusy) link.step();
  return { seconds: link.now, least: link.least(sizes, slots.all), ends, carried };
};

const MEGABIT = 1e6 / 8;
const LINKS = {
  "20 Mbit/s, far away": { rate: 20 * MEGABIT, before: 0.09, after: 0.03 },
  "100 Mbit/s": { rate: 100 * MEGABIT, before: 0.03, after: 0.02 },
  "100 Mbit/s, far away": { rate: 100 * MEGABIT, before: 0.09, after: 0.05 },
  "1 Gbit/s": { rate: 1000 * MEGABIT, before: 0.015, after: 0.02 },
  "1 Gbit/s, far away": { rate: 1000 * MEGABIT, before: 0.15, after: 0.05 },
};
const LARGE = [2 ** 30];
const MANY = Array(2000).fill(100_000);
const LOADS = {
  "1 GiB alone": LARGE,
  "2,000 files of 100 kB": MANY,
  "2,000 files of 100 kB, and then 1 GiB": [...MANY, ...LARGE],
  "1 GiB, and then 2,000 files of 100 kB": [...LARGE, ...MANY],
};
for (const [where, conditions] of Object.entries(LINKS)) {
  for (const [what, files] of Object.entries(LOADS)) {
    test(`the link is not left idle, and nothing could be a twentieth faster: ${what}, ${where}`, (context) => {
      const link = new Link(conditions);
      const { seconds, least } = send(link, files);
      const over = 100 * (seconds / least - 1);
      context.diagnostic(`${seconds.toFixed(2)} s, ${over.toFixed(1)} % over the least; idle ${link.longestIdle.toFixed(3)} s`);
      assert.ok(over <= 5, `${over} %`);
      assert.ok(link.longestIdle <= 0.2, `${link.longestIdle} s`);
    });
  }
}

test("small files are through long before a large file that would take as long without them", () => {
  const { seconds, ends } = send(new Link(LINKS["100 Mbit/s"]), [...LARGE, ...MANY]);
  assert.ok(ends.small < seconds / 2, `${ends.small} of ${seconds} s`);
  assert.equal(ends.part, seconds);
});

test("of two large files the first is through before the second has sent much, and the link is full meanwhile", () => {
  const link = new Link(LINKS["100 Mbit/s"]);
  const { carried } = send(link, [20 * PART, 20 * PART]);
  assert.ok(carried[0] < 26 * PART, `${carried[0] / PART} parts`);
  assert.ok(link.idle <= 0.2, `${link.idle} s`);
});
