import assert from "node:assert/strict";
import test from "node:test";
import { Gathered } from "../../../web/uploads/static/uploads/gathered.js";

// One that notes what it asks for; time goes on by `after` (milliseconds) alone.
const make = (context, limits) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const asked = [];
  const gathered = new Gathered(async (items) => {
    asked.push(items.length);
    return items.map((item) => item * 2);
  }, limits);
  return { asked, put: (item, isLast) => gathered.put(item, isLast), after: (time) => context.mock.timers.tick(time) };
};
const LIMITS = { most: 5, wait: 100, longest: 400 };

test("each gets its own answer, and the last of all waits for nothing", async (context) => {
  const here = make(context, LIMITS);
  const answers = [here.put(1), here.put(2), here.put(3, true)];
  assert.deepEqual(await Promise.all(answers), [2, 4, 6]);
  assert.deepEqual(here.asked, [3]);
});

test("as many as one request takes are asked for at once", (context) => {
  const here = make(context, LIMITS);
  for (let item = 0; item < 7; item += 1) here.put(item);
  assert.deepEqual(here.asked, [5]);
  here.after(100);
  assert.deepEqual(here.asked, [5, 2]);
});

test("while more come, each request waits twice as long, up to a limit, and begins anew with the next files", (context) => {
  const here = make(context, LIMITS);
  for (const wait of [100, 200, 400, 400]) {
    here.put(1);
    const before = here.asked.length;
    here.after(wait - 1);
    assert.equal(here.asked.length, before, `${wait}`);
    here.after(1);
    assert.equal(here.asked.length, before + 1, `${wait}`);
  }
  here.put(1, true);
  here.put(1);
  here.after(100);
  assert.equal(here.asked.length, 6);
});
