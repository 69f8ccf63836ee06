import assert from "node:assert/strict";
import test from "node:test";
import { crc32 } from "node:zlib";
import { FileChanged, toBase64 } from "../../../web/uploads/static/uploads/checksums.js";
import { Hosts, OWN } from "../../../web/uploads/static/uploads/hosts.js";
import { Exists, FileSender, Forgotten } from "../../../web/uploads/static/uploads/sending.js";

globalThis.window = new EventTarget();

const answer = (status, code) => Object.assign(new Error(code), { status, code, isConnection: false, isExpired: false });
const conflict = () => answer(409, "ConditionalRequestConflict");
const concurrency = {
  take: async () => ({ host: OWN, give() {} }),
  hosts: new Hosts(),
  arrived: () => {},
  tooMany: () => {
    concurrency.trouble += 1;
  },
  trouble: 0,
};
const checksums = { read: async () => ({ crc: 1, md5: "m", bytes: null }) };
const file = new Blob(["trace"]);
const options = () => ({ signal: new AbortController().signal, watch: () => {}, onProgress: () => {}, onTaken: () => {} });
const item = (more = {}) => ({ file, started: { key: "lab/inputs/a", upload_id: "" }, ...more });
const inParts = (more = {}) => item({ started: { key: "lab/inputs/a", upload_id: "u" }, ...more });
const senderOf = (bucket) => new FileSender({ bucket, checksums, concurrency });
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

test("a small file that S3 has one of already went over the link as well as one that arrives, and one that is refused did not", async () => {
  for (const [error, count] of [
    [answer(412, "PreconditionFailed"), 1],
    [answer(403, "AccessDenied"), 0],
  ]) {
    const arrived = [];
    const counting = { ...concurrency, arrived: (bytes, kind) => arrived.push([bytes, kind]) };
    const sender = new FileSender({ bucket: { put: () => Promise.reject(error) }, checksums, concurrency: counting });
    await assert.rejects(sender.send(item(), options()));
    assert.deepEqual(arrived, Array(count).fill([file.size, "small"]));
  }
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

// --- In parts

const PART = 1000;
const CONTENT = Buffer.from(Array.from({ length: 4500 }, (_, at) => (at * 7919) & 255));
const crcOf = (bytes) => toBase64(crc32(bytes));
const partOf = (number) => CONTENT.subarray((number - 1) * PART, number * PART);
const realChecksums = { of: async (blob) => crc32(Buffer.from(await blob.arrayBuffer())) };
const large = (more = {}) => ({
  file: new Blob([CONTENT]),
  started: { key: "lab/inputs/a", upload_id: "u", part_size: PART, is_resumed: false, ...more },
});

// An S3 that keeps parts, and may have some already. `trouble(number, tries)` gives what it answers instead.
const s3Of = (known = new Map(), trouble = () => null) => {
  const s3 = { held: new Map(), asked: [], tries: new Map() };
  s3.parts = async () => known;
  s3.put = async (_key, blob, { query, headers, signal, onProgress }) => {
    const number = Number(query.partNumber);
    const tries = (s3.tries.get(number) ?? 0) + 1;
    s3.tries.set(number, tries);
    s3.asked.push(number);
    signal.throwIfAborted();
    onProgress(blob.size / 2);
    const error = trouble(number, tries);
    if (error) throw error;
    const bytes = Buffer.from(await blob.arrayBuffer());
    assert.equal(headers["x-amz-checksum-crc32"], crcOf(bytes));
    assert.equal(query.uploadId, "u");
    s3.held.set(number, bytes);
    return (name) => (name === "etag" ? `"${number}"` : null);
  };
  return s3;
};
const partsSender = (bucket) => new FileSender({ bucket, checksums: realChecksums, concurrency });

test("a large file arrives in parts, each with its checksum, and the whole with that of the whole", async () => {
  const s3 = s3Of();
  const told = [];
  const sent = await partsSender(s3).send(large(), { ...options(), onProgress: (bytes) => told.push(bytes) });
  assert.deepEqual(Buffer.concat([1, 2, 3, 4, 5].map((number) => s3.held.get(number))), CONTENT);
  assert.equal(sent.crc, crc32(CONTENT));
  assert.deepEqual(
    sent.parts,
    [1, 2, 3, 4, 5].map((number) => ({ number, etag: `"${number}"`, crc32: crcOf(partOf(number)) })),
  );
  assert.equal(told.at(-1), CONTENT.length);
  assert.ok(Math.max(...told) <= CONTENT.length);
});

test("a resumed upload sends what S3 lacks alone: parts of another size or content are sent again", async () => {
  const known = new Map([
    [1, { etag: '"1"', size: PART, crc32: crcOf(partOf(1)) }],
    [2, { etag: '"2"', size: PART, crc32: crcOf(partOf(3)) }],
    [3, { etag: '"3"', size: PART - 1, crc32: crcOf(partOf(3)) }],
    [5, { etag: '"5"', size: 500, crc32: crcOf(partOf(5)) }],
  ]);
  const s3 = s3Of(known);
  const told = [];
  const sent = await partsSender(s3).send(large({ is_resumed: true }), { ...options(), onProgress: (bytes) => told.push(bytes) });
  assert.deepEqual(s3.asked.sort(), [2, 3, 4]);
  assert.equal(sent.crc, crc32(CONTENT));
  assert.deepEqual(
    sent.parts.map(({ number, etag }) => [number, etag]),
    [1, 2, 3, 4, 5].map((number) => [number, `"${number}"`]),
  );
  assert.deepEqual([told[0], told.at(-1)], [PART, CONTENT.length]);
});

test("an upload that is new does not ask S3 what it has", async () => {
  const s3 = s3Of();
  s3.parts = async () => assert.fail("asked");
  await partsSender(s3).send(large(), options());
});

test("a part that fails for good stops the others, and says why", async () => {
  const stopped = [];
  const put = (_key, _blob, { query, signal }) =>
    new Promise((_resolve, reject) => {
      if (query.partNumber === "2") setImmediate(reject, answer(403, "AccessDenied"));
      signal.addEventListener("abort", () => {
        stopped.push(Number(query.partNumber));
        reject(new DOMException("Stopped.", "AbortError"));
      });
    });
  await assert.rejects(partsSender({ put }).send(large(), options()), { code: "AccessDenied" });
  assert.deepEqual(
    stopped.filter((number) => number !== 2),
    [1, 3, 4, 5],
  );
});

test("what was altered on the way is not complete, and S3 that forgot the upload has it begun anew", async () => {
  await assert.rejects(
    partsSender(s3Of(new Map(), () => answer(400, "BadDigest"))).send(large(), options()),
    (error) => error instanceof FileChanged && !error.isFinal,
  );
  await assert.rejects(partsSender(s3Of(new Map(), () => answer(404, "NoSuchUpload"))).send(large(), options()), Forgotten);
});

test("who stops a large file gets its requests stopped", async () => {
  const stop = new AbortController();
  const s3 = s3Of(new Map(), () => (stop.abort(), new DOMException("Stopped.", "AbortError")));
  await assert.rejects(partsSender(s3).send(large(), { ...options(), signal: stop.signal }), { name: "AbortError" });
});

test("the whole is completed with its checksum and length, replacing nothing", async () => {
  const asked = [];
  const complete = async (key, uploadId, parts, { headers }) => {
    asked.push({ key, uploadId, parts, headers });
    return { etag: '"whole"' };
  };
  const proof = await senderOf({ complete }).complete(large(), { crc: crc32(CONTENT), parts: [] }, options());
  assert.deepEqual(proof, { checksum: crcOf(CONTENT), etag: '"whole"' });
  assert.deepEqual(asked[0].headers, {
    "x-amz-checksum-crc32": crcOf(CONTENT),
    "x-amz-checksum-type": "FULL_OBJECT",
    "x-amz-mp-object-size": "4500",
    "if-none-match": "*",
  });
});

test("a completion whose answer was lost is found out; what is another file is not taken for it", async () => {
  const sent = { crc: crc32(CONTENT), parts: [] };
  for (const refusal of [answer(412, "PreconditionFailed"), answer(404, "NoSuchUpload")]) {
    const complete = async () => {
      throw refusal;
    };
    const mine = { complete, head: async () => ({ crc32: crcOf(CONTENT), size: 4500, etag: '"whole"' }) };
    assert.deepEqual(await senderOf(mine).complete(large(), sent, options()), { checksum: crcOf(CONTENT), etag: '"whole"' });
    const other = { complete, head: async () => ({ crc32: "other", size: 4500, etag: '"other"' }) };
    await assert.rejects(senderOf(other).complete(large(), sent, options()), refusal.status === 412 ? Exists : Forgotten);
  }
});

// --- Under other names of S3's

const OTHER = "https://s3.us-east-1.amazonaws.com/bucket";
const lost = () => Object.assign(answer(0, "Connection"), { isConnection: true });
const full = (hosts, host) => ({ ...concurrency, hosts, isFull: true, take: async () => ({ host, give() {} }) });
const proved = () => {
  const hosts = new Hosts({ others: [OTHER] });
  hosts.proved(hosts.toTry());
  return hosts;
};

test("while requests wait, one small request tells whether another name is answered, and no file goes there before", async () => {
  for (const [list, names] of [
    [async () => ({ objects: [] }), [OWN, OTHER]],
    [() => Promise.reject(answer(403, "AccessDenied")), [OWN]],
    [() => Promise.reject(lost()), [OWN]],
  ]) {
    const asked = [];
    const hosts = new Hosts({ others: [OTHER] });
    const bucket = {
      put: async (_key, _body, { address }) => {
        asked.push(["put", address]);
        return () => '"e"';
      },
      list: async ({ address, max }) => {
        asked.push(["list", address, max]);
        return list();
      },
    };
    const sender = new FileSender({ bucket, checksums, concurrency: full(hosts, OWN) });
    for (const begun of [item(), item()]) await sender.send(begun, options());
    await new Promise(setImmediate);
    assert.deepEqual(asked, [
      ["put", OWN],
      ["list", OTHER, 1],
      ["put", OWN],
    ]);
    assert.deepEqual(
      hosts.slots.hosts.map(({ name }) => name),
      names,
    );
  }
});

test("what got no answer under another name goes again under the bucket's own at once, and is no trouble of the file's", async () => {
  for (const error of [lost(), Object.assign(answer(400, "Redirected"), { isRedirect: true })]) {
    concurrency.trouble = 0;
    const said = [];
    const asked = [];
    const hosts = proved();
    const put = async (_key, _body, { address }) => {
      asked.push(address);
      if (address === OTHER) throw error;
      return () => '"e"';
    };
    const sender = new FileSender({ bucket: { put }, checksums, concurrency: full(hosts, OTHER) });
    await sender.send(item(), { ...options(), watch: (words) => said.push(words) });
    assert.deepEqual([asked, concurrency.trouble, said], [[OTHER, OWN], 0, [""]]);
    assert.deepEqual(hosts.slots.hosts.length, 1);
  }
});

test("a refusal under another name is a refusal, and the name stays", async () => {
  const hosts = proved();
  const put = () => Promise.reject(answer(403, "AccessDenied"));
  const sender = new FileSender({ bucket: { put }, checksums, concurrency: full(hosts, OTHER) });
  await assert.rejects(sender.send(item(), options()), { code: "AccessDenied" });
  assert.equal(hosts.slots.hosts.length, 2);
});
