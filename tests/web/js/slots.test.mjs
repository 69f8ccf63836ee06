import assert from "node:assert/strict";
import test from "node:test";
import { Slots } from "../../../web/uploads/static/uploads/slots.js";

const never = new AbortController().signal;

test("no more run at once than the limit, and each that ends lets another in", async () => {
  const slots = new Slots();
  const given = await Promise.all(Array.from({ length: slots.limit }, () => slots.take(never)));
  let entered = false;
  const waiting = slots.take(never).then((give) => { entered = true; return give; });
  await new Promise(setImmediate);
  assert.equal(entered, false);
  given[0]();
  given[0](); // Giving back twice frees one place only.
  await waiting;
  let second = false;
  slots.take(never).then(() => { second = true; });
  await new Promise(setImmediate);
  assert.equal(second, false);
});

test("who stops waiting leaves the line", async () => {
  const slots = new Slots();
  const given = await Promise.all(Array.from({ length: slots.limit }, () => slots.take(never)));
  const stop = new AbortController();
  const turned = slots.take(stop.signal);
  stop.abort();
  await assert.rejects(turned, { name: "AbortError" });
  given[0]();
  await slots.take(never);
});

test("trouble halves the number, and it never falls below one", () => {
  const slots = new Slots();
  for (let times = 0; times < 6; times += 1) slots.tooMany();
  assert.equal(slots.limit, 1);
});
