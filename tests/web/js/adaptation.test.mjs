import assert from "node:assert/strict";
import test from "node:test";
import { Adaptation } from "../../../web/uploads/static/uploads/adaptation.js";

const TICK = 100;
// Requests of this kind get so much through in a second with so many side by side; each takes a tenth of one.
const run = (adaptation, seconds, rateOf, { from = 0, most = 6, kind = "small", next = kind } = {}) => {
  const limits = [];
  for (let now = from + TICK; now <= from + 1000 * seconds; now += TICK) {
    for (let ended = 0; ended < adaptation.limit; ended += 1) adaptation.ended();
    adaptation.arrived(kind, (rateOf(adaptation.limit) * TICK) / 1000, now, { most, next });
    limits.push(adaptation.limit);
  }
  return limits;
};
const perRequest = (limit) => 100 * limit;
const upTo = (worth) => (limit) => 100 * Math.min(worth, limit);

test("few are the first, and there are twice as many for as long as more gets through", () => {
  const adaptation = new Adaptation(0);
  assert.equal(adaptation.limit, 2);
  const limits = run(adaptation, 3, perRequest, { most: 16 });
  assert.deepEqual([...new Set(limits)], [2, 4, 8, 16]);
  assert.equal(new Set(run(adaptation, 60, perRequest, { most: 16, from: 3000 })).size, 1);
});

test("what does not make it faster is taken back, and one more is tried now and then", () => {
  const adaptation = new Adaptation(0);
  run(adaptation, 4, upTo(4), { most: 16 });
  assert.equal(adaptation.limit, 4);
  const limits = run(adaptation, 60, upTo(4), { most: 16, from: 4000 });
  assert.deepEqual([...new Set(limits)].toSorted(), [4, 5]);
  assert.ok(limits.filter((limit) => limit === 5).length < limits.length / 3);
  // The line got faster.
  run(adaptation, 60, perRequest, { most: 16, from: 64_000 });
  assert.equal(adaptation.limit, 16);
});

test("where nothing waits, nothing is learnt", () => {
  const adaptation = new Adaptation(0);
  run(adaptation, 60, perRequest, { next: null });
  assert.equal(adaptation.limit, 2);
});

test("it is watched until each slot had two requests, or for two seconds", () => {
  const adaptation = new Adaptation(0);
  for (let now = 100; now < 2000; now += 100) adaptation.arrived("part", 1000, now, { most: 6, next: "part" });
  assert.equal(adaptation.limit, 2);
  // The first that arrives begins the time that is watched.
  adaptation.arrived("part", 1000, 2100, { most: 6, next: "part" });
  assert.equal(adaptation.limit, 4);
});

test("another kind of work is tried with more, though the first was not worth it", () => {
  const adaptation = new Adaptation(0);
  run(adaptation, 5, upTo(2), { kind: "part" });
  assert.equal(adaptation.limit, 2);
  run(adaptation, 3, perRequest, { kind: "small", from: 5000 });
  assert.equal(adaptation.limit, 6);
});

test("what arrives in lumps of another kind does not tell whether more small files would help", () => {
  const adaptation = new Adaptation(0);
  let lump = 10 ** 9;
  for (let now = 100; now <= 4000; now += 100) {
    for (let ended = 0; ended < adaptation.limit; ended += 1) adaptation.ended();
    adaptation.arrived("small", 10 * adaptation.limit, now, { most: 6, next: "small" });
    adaptation.arrived("part", (lump /= 2), now, { most: 6, next: "small" });
  }
  assert.equal(adaptation.limit, 6);
});

test("trouble halves the number once, however many requests have it, and it never falls below one", () => {
  const adaptation = new Adaptation(0);
  run(adaptation, 3, perRequest, { most: 16 });
  assert.deepEqual(
    [4000, 4001, 4500].map((now) => adaptation.slowDown(now)),
    [true, false, false],
  );
  assert.equal(adaptation.limit, 8);
  for (let now = 6000; now < 20_000; now += 2000) adaptation.slowDown(now);
  assert.equal(adaptation.limit, 1);
});

test("after trouble it grows one by one", () => {
  const adaptation = new Adaptation(0);
  run(adaptation, 3, perRequest, { most: 16 });
  adaptation.slowDown(3000);
  const limits = [...new Set(run(adaptation, 30, perRequest, { most: 16, from: 3000 }))];
  assert.deepEqual(limits, [8, 9, 10, 11, 12, 13, 14, 15, 16]);
});

test("four people at a server that takes so many requests starve nobody, whoever came first", () => {
  const TAKES = 24;
  const people = [];
  const got = [0, 0, 0, 0];
  for (let now = 0; now < 600_000; now += TICK) {
    // One comes after the other.
    if (people.length < 4 && now >= 10_000 * people.length) people.push(new Adaptation(now));
    const asked = people.reduce((sum, { limit }) => sum + limit, 0);
    for (const [number, person] of people.entries()) {
      for (let ended = 0; ended < person.limit; ended += 1) person.ended();
      person.arrived("small", (person.limit * Math.min(1, TAKES / asked) * TICK) / 1000, now, { most: 16, next: "small" });
      if (now > 120_000) got[number] += person.limit;
    }
    if (asked > TAKES) for (const person of people) person.slowDown(now);
  }
  const all = got.reduce((sum, one) => sum + one, 0);
  assert.ok(Math.min(...got) > all / 8, JSON.stringify(got.map((one) => one / all)));
});
