import assert from "node:assert/strict";
import test from "node:test";
import { crc32 } from "node:zlib";
import { combine, toBase64 } from "../../../web/uploads/static/uploads/checksums.js";

test("the checksums of pieces make that of the whole", () => {
  const whole = Buffer.from(Array.from({ length: 100_003 }, (_, at) => (at * 7919) & 255));
  for (const cut of [1, 2, 255, 4096, 65_537, 100_002]) {
    const [first, second] = [whole.subarray(0, cut), whole.subarray(cut)];
    assert.equal(combine(crc32(first), crc32(second), second.length), crc32(whole), `cut at ${cut}`);
  }
  assert.equal(combine(crc32(whole), 0, 0), crc32(whole));
});

test("lengths beyond 32 bits are combined", () => {
  // 5 GiB of zero bytes after "x", as zlib has it, found by feeding it in pieces of 1 GiB.
  const crc = crc32(Buffer.from("x"));
  const gibibyte = 2 ** 30;
  const zeros = crc32(Buffer.alloc(2 ** 20));
  let oneGibibyte = zeros;
  for (let doubled = 2 ** 20; doubled < gibibyte; doubled *= 2) oneGibibyte = combine(oneGibibyte, oneGibibyte, doubled);
  let five = oneGibibyte;
  for (let times = 1; times < 5; times += 1) five = combine(five, oneGibibyte, gibibyte);
  let stepwise = crc;
  for (let times = 0; times < 5; times += 1) stepwise = combine(stepwise, oneGibibyte, gibibyte);
  assert.equal(combine(crc, five, 5 * gibibyte), stepwise);
});

test("S3's form is four bytes in base64", () => {
  assert.equal(toBase64(0), "AAAAAA==");
  assert.equal(toBase64(0xcbf43926), "y/Q5Jg==");
});
