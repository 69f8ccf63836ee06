import assert from "node:assert/strict";
import test from "node:test";
import "./beside.mjs";

const { Speed, inWords } = await import("../../../web/uploads/static/uploads/speed.js");

test("a steady line has its speed, and one that stops has none after a while", () => {
  const speed = new Speed();
  let rate = 0;
  for (let second = 0; second <= 5; second += 1) rate = speed.take(second * 2_000_000, second * 1000);
  assert.equal(Math.round(rate), 2_000_000);
  for (let second = 6; second <= 40; second += 1) rate = speed.take(10_000_000, second * 1000);
  assert.ok(rate < 100);
});

test("beginning anew counts anew", () => {
  const speed = new Speed();
  speed.take(1_000_000, 0);
  assert.equal(speed.take(0, 1000), 0);
});

test("speeds in people's units", () => {
  assert.equal(inWords(0), "");
  assert.equal(inWords(999), "999 bytes/s");
  assert.equal(inWords(1500), "1.5 kB/s");
  assert.equal(inWords(95_400_000), "95.4 MB/s");
  assert.equal(inWords(1_250_000_000), "1.25 GB/s");
});
