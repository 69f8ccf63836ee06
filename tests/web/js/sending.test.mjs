import assert from "node:assert/strict";
import test from "node:test";
import { Exists, Forgotten, Sender } from "../../../web/uploads/static/uploads/sending.js";

globalThis.window = new EventTarget();

const answer = (status, code) => Object.assign(new Error(code), { status, code, isConnection: false, isExpired: false });
const conflict = () => answer(409, "ConditionalRequestConflict");
const concurrency = {
  take: async () => () => {},
  arrived: () => {},
  tooMany: () => {
    concurrency.trouble += 1;
  },
  trouble: 0,
};
const checksums = { read: async () => ({ crc: 1, md5: "m", bytes: null }) };
const file = new Blob(["trace"]);
const options = () => ({ signal: new AbortController().signal, watch: () => {}, onProgress: () => {} });
const item = (more = {}) => ({ file, started: { key: "lab/inputs/a", upload_id: "" }, ...more });
const inParts = (more = {}) => item({ started: { key: "lab/inputs/a", upload_id: "u" }, ...more });
const senderOf = (bucket) => new Sender({ bucket, checksums, concurrency });
const PARTS = { crc: 1, parts: [] };

// What S3 answers to one request after the other, and with which headers it was asked.
const answers = (...given) => {
  const asked = [];
  const next = async (_key, _body, { headers }) => {
    asked.push(headers);
    const one = given.shift();
    if (one instanceof Error) throw one;
    return one;
  };
  return { asked, next };
};

test("a small file is sent again after a conflict, under the same condition, and no slower", async () => {
  concurrency.trouble = 0;
  const { asked, next } = answers(conflict(), conflict(), () => '"etag"');
  const sent = await senderOf({ put: next }).send(item(), options());
  assert.equal(sent.etag, '"etag"');
  assert.deepEqual(
    asked.map((headers) => headers["if-none-match"]),
    ["*", "*", "*"],
  );
  assert.equal(concurrency.trouble, 0);
});

test("a small file that another one got ahead of during the conflict replaces nothing", async () => {
  const { next } = answers(conflict(), answer(412, "PreconditionFailed"));
  await assert.rejects(senderOf({ put: next }).send(item(), options()), Exists);
});

test("an upload in parts is begun anew after a conflict, and not completed again", async () => {
  let times = 0;
  const complete = async () => {
    times += 1;
    throw conflict();
  };
  await assert.rejects(senderOf({ complete }).complete(inParts(), PARTS, options()), (error) => {
    assert.ok(error instanceof Forgotten);
    assert.match(error.message, /not complete/);
    return true;
  });
  assert.equal(times, 1);
});

test("where what was to be replaced is gone, the file is sent anew and replaces nothing", async () => {
  const gone = () => answer(404, "NoSuchKey");
  const small = item({ replaces: '"old"' });
  await assert.rejects(
    senderOf({
      put: async () => {
        throw gone();
      },
    }).send(small, options()),
    Forgotten,
  );
  const large = inParts({ replaces: '"old"' });
  await assert.rejects(
    senderOf({
      complete: async () => {
        throw gone();
      },
    }).complete(large, PARTS, options()),
    Forgotten,
  );
  assert.deepEqual([small.replaces, large.replaces], ["", ""]);
});

test("an upload that S3 dropped before it was completed is begun anew", async () => {
  const bucket = {
    complete: async () => {
      throw answer(404, "NoSuchUpload");
    },
    head: async () => null,
  };
  await assert.rejects(senderOf(bucket).complete(inParts(), PARTS, options()), Forgotten);
});
