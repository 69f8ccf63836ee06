import assert from "node:assert/strict";
import test from "node:test";
import { Concurrency } from "../../../web/uploads/static/uploads/concurrency.js";

const never = new AbortController().signal;

test("no more run at once than the limit, and each that ends lets another in", async () => {
  const concurrency = new Concurrency();
  const given = await Promise.all(Array.from({ length: concurrency.limit }, () => concurrency.take(never)));
  let entered = false;
  const waiting = concurrency.take(never).then((give) => {
    entered = true;
    return give;
  });
  await new Promise(setImmediate);
  assert.equal(entered, false);
  given[0].give();
  given[0].give(); // Giving back twice frees one place only.
  await waiting;
  let second = false;
  concurrency.take(never).then(() => {
    second = true;
  });
  await new Promise(setImmediate);
  assert.equal(second, false);
});

test("who stops waiting leaves the line", async () => {
  const concurrency = new Concurrency();
  const given = await Promise.all(Array.from({ length: concurrency.limit }, () => concurrency.take(never)));
  const stop = new AbortController();
  const turned = concurrency.take(stop.signal);
  stop.abort();
  await assert.rejects(turned, { name: "AbortError" });
  given[0].give();
  await concurrency.take(never);
});

test("trouble halves the number, and it never falls below one", () => {
  const concurrency = new Concurrency();
  for (let times = 0; times < 6; times += 1) concurrency.tooMany();
  assert.equal(concurrency.limit, 1);
});
