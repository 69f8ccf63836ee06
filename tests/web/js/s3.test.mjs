import assert from "node:assert/strict";
import { createHash, createHmac } from "node:crypto";
import test from "node:test";
import { Bucket } from "../../../control_plane/research/storage/static/storage/s3.js";
import { fileName, sourceOf } from "../../../web/files/static/files/source.js";
import { DOMParser } from "./xml.mjs";

const SITE = "/groups/lab/files/ephys/one/";
const DOTS = ["lab/inputs/./x", "lab/inputs/../x", "lab/inputs/..", "lab/inputs/.", "lab/./", "../x", "lab/inputs/a/../../x"];
const PLAIN = [
  "lab/inputs/x",
  "lab/inputs//x",
  "lab/inputs/.x",
  "lab/inputs/..x",
  "lab/inputs/x..",
  "lab/inputs/.../x",
  "lab/inputs/%2e%2e/x",
  "lab/inputs/%2E/x",
  "lab/inputs/a\\..\\x",
  "lab/inputs/a b+c?d#e&f=g",
  "lab/inputs/\t\n x",
  "lab/inputs/Ünï 😀",
  "lab/inputs/folder/",
  "lab/inputs/;a=1/x",
  "lab/inputs/'()*!",
];
const session = {
  access_key_id: "AKIA",
  secret_access_key: "secret",
  session_token: "token",
  region: "us-east-1",
  address: "https://bucket.s3.us-east-1.amazonaws.com",
  now: new Date().toISOString(),
  expires: new Date(Date.now() + 3_600_000).toISOString(),
};
const bucket = new Bucket(async () => session);
const keyAskedFor = (url) => decodeURIComponent(new URL(url).pathname.slice(1));

// Every way in which the pages ask S3 for one object.
const WAYS = {
  presign: (key) => bucket.presign(key),
  get: (key) => bucket.request("GET", key),
  head: (key) => bucket.head(key),
  put: (key) => bucket.put(key, new Blob(["x"])),
  parts: (key) => bucket.parts(key, "upload"),
  complete: (key) => bucket.complete(key, "upload", []),
};

for (const [name, ask] of Object.entries(WAYS)) {
  test(`a key with a dot segment is refused before S3 is asked for another object: ${name}`, async () => {
    const asked = [];
    globalThis.fetch = async (url) => {
      asked.push(url);
      return new Response("<a/>");
    };
    for (const key of DOTS) await assert.rejects(async () => ask(key), { code: "NotAddressable" }, key);
    assert.deepEqual(asked, []);
  });
}

test("every other key is asked for as it is", async () => {
  for (const key of PLAIN) assert.equal(keyAskedFor(await bucket.presign(key)), key);
});

test("a file that a browser cannot ask S3 for is downloaded and previewed through the site, by its own key", async () => {
  for (const key of DOTS) {
    const source = sourceOf(bucket, SITE, key);
    const asked = [];
    globalThis.fetch = async (url) => {
      asked.push(url);
      return new Response("DOT");
    };
    assert.equal(new TextDecoder().decode(await source.first(64)), "DOT");
    const [preview, download] = [asked[0], await source.download()].map(
      (address) => new URL(address, "https://cohort.example.org"),
    );
    for (const { pathname, searchParams } of [preview, download]) {
      assert.equal(pathname, SITE);
      assert.equal(searchParams.get("key"), key);
    }
    assert.equal(preview.searchParams.get("first"), "64");
    assert.equal(await source.medium("image/png", 60), null);
  }
});

test("every other file is downloaded from S3 itself, under its own name", async () => {
  for (const key of PLAIN) {
    const address = await sourceOf(bucket, SITE, key).download();
    assert.equal(keyAskedFor(address), key);
    const name = encodeURIComponent(fileName(key)).replace(/['()*]/g, (character) => `%${character.charCodeAt(0).toString(16)}`);
    assert.ok(new URL(address).searchParams.get("response-content-disposition").endsWith(`''${name}`), key);
  }
});

test("a folder's marker is saved under the folder's name", () => {
  assert.equal(fileName("lab/inputs/notes/"), "notes");
  assert.equal(fileName("lab/inputs/notes//"), "notes");
  assert.equal(fileName("lab/"), "lab");
});

// --- The signing client

globalThis.DOMParser = DOMParser;
const HOUR = 3_600_000;
const xml = (status, body) => new Response(body, { status });
const refused = (code, status = 403) => xml(status, `<Error><Code>${code}</Code><Message>No.</Message></Error>`);
const sessionOf = (more = {}) => ({
  ...session,
  now: new Date().toISOString(),
  expires: new Date(Date.now() + HOUR).toISOString(),
  ...more,
});

// S3 answers so, one request after the other; the sessions that were opened, and the requests, are kept.
const s3Of = (answers, more = {}) => {
  const here = { opened: 0, asked: [] };
  globalThis.fetch = async (url, options) => {
    here.asked.push({ url: new URL(url), ...options });
    const answer = answers.shift();
    if (answer instanceof Error) throw answer;
    return answer;
  };
  here.bucket = new Bucket(async () => {
    here.opened += 1;
    return sessionOf(more);
  });
  return here;
};

// "Signature Version 4 for API requests" (IAM user guide), anew, from what was sent.
const hex = (data) => createHash("sha256").update(data).digest("hex");
const hmac = (key, data) => createHmac("sha256", key).update(data).digest();
const signatureOf = ({ method, url, headers }) => {
  const [, scope, names] = /Credential=AKIA\/([^,]+), SignedHeaders=([^,]+),/.exec(headers.get("authorization"));
  const signed = names.split(";").map((name) => `${name}:${name === "host" ? url.host : headers.get(name)}\n`);
  const query = [...url.searchParams].map((pair) => pair.map(encodeURIComponent).join("=")).sort();
  const request = [
    method,
    url.pathname,
    query.join("&"),
    signed.join(""),
    names,
    headers.get("x-amz-content-sha256") ?? "UNSIGNED-PAYLOAD",
  ];
  const text = ["AWS4-HMAC-SHA256", headers.get("x-amz-date"), scope, hex(request.join("\n"))].join("\n");
  const key = scope.split("/").reduce(hmac, "AWS4secret");
  return createHmac("sha256", key).update(text).digest("hex");
};

test("requests are signed as AWS wants it, with the session's token", async () => {
  const { bucket: signing, asked } = s3Of([xml(200, ""), xml(200, "")]);
  await signing.request("GET", "lab/inputs/a b+c");
  await signing.request("GET", "", { query: { prefix: "lab/a b", "list-type": "2" } });
  for (const request of asked) {
    assert.equal(/Signature=(\w+)/.exec(request.headers.get("authorization"))[1], signatureOf(request));
    assert.equal(request.headers.get("x-amz-security-token"), "token");
    // S3 takes a plus for itself, and not for a blank.
    assert.ok(!request.url.search.includes("+"));
    assert.match(request.headers.get("authorization"), /\/us-east-1\/s3\/aws4_request/);
  }
});

test("the server's clock counts, however wrong this machine's is", async () => {
  const server = Date.now() - 5 * HOUR;
  const { bucket: signing, asked } = s3Of([xml(200, "")], {
    now: new Date(server).toISOString(),
    expires: new Date(server + HOUR).toISOString(),
  });
  await signing.request("GET", "lab/a");
  const [, date, time] = /^(\d{8})T(\d{6})Z$/.exec(asked[0].headers.get("x-amz-date"));
  const signedAt = Date.parse(`${date.replace(/(....)(..)(..)/, "$1-$2-$3")}T${time.replace(/(..)(..)(..)/, "$1:$2:$3")}Z`);
  assert.ok(Math.abs(signedAt - server) < 10_000);
});

test("a session is opened once for requests side by side, and again five minutes before it ends", async () => {
  const lasting = s3Of([xml(200, ""), xml(200, ""), xml(200, "")]);
  await Promise.all([lasting.bucket.request("GET", "a"), lasting.bucket.request("GET", "b")]);
  await lasting.bucket.request("GET", "c");
  assert.equal(lasting.opened, 1);
  const ending = s3Of([xml(200, ""), xml(200, "")], { expires: new Date(Date.now() + 4 * 60_000).toISOString() });
  await ending.bucket.request("GET", "a");
  await ending.bucket.request("GET", "b");
  assert.equal(ending.opened, 2);
});

test("an ended session is renewed once, and what is refused then is told", async () => {
  const renewed = s3Of([refused("ExpiredToken", 400), xml(200, "content")]);
  assert.equal(await (await renewed.bucket.request("GET", "a")).text(), "content");
  assert.equal(renewed.opened, 2);
  const ended = s3Of([refused("ExpiredToken", 400), refused("ExpiredToken", 400)]);
  await assert.rejects(ended.bucket.request("GET", "a"), { code: "ExpiredToken", status: 400 });
  assert.equal(ended.asked.length, 2);
});

test("a lost connection is one, and a stop is none", async () => {
  await assert.rejects(s3Of([new TypeError("fetch failed")]).bucket.request("GET", "a"), { status: 0, isConnection: true });
  await assert.rejects(s3Of([new DOMException("Stopped.", "AbortError")]).bucket.request("GET", "a"), { name: "AbortError" });
});

test("a refusal while IAM may be late is trouble that passes; afterwards it is a refusal", async () => {
  const settles = new Date(Date.now() + 60_000).toISOString();
  await assert.rejects(s3Of([refused("AccessDenied")], { settles }).bucket.request("GET", "a"), {
    status: 503,
    code: "BeingMadeReady",
    answered: 403,
  });
  await assert.rejects(s3Of([refused("SignatureDoesNotMatch")], { settles }).bucket.request("GET", "a"), { status: 403 });
  const past = new Date(Date.now() - 1000).toISOString();
  await assert.rejects(s3Of([refused("AccessDenied")], { settles: past }).bucket.request("GET", "a"), {
    status: 403,
    code: "AccessDenied",
  });
});

test("all parts of an unfinished upload are told, however many answers that takes", async () => {
  const part = (number, size) =>
    `<Part><PartNumber>${number}</PartNumber><ETag>&quot;e${number}&quot;</ETag><Size>${size}</Size><ChecksumCRC32>AAAAAA==</ChecksumCRC32></Part>`;
  const first = `<ListPartsResult><IsTruncated>true</IsTruncated><NextPartNumberMarker>1000</NextPartNumberMarker>${part(1, 5)}${part(1000, 6)}</ListPartsResult>`;
  const { bucket: signing, asked } = s3Of([
    xml(200, first),
    xml(200, `<ListPartsResult><IsTruncated>false</IsTruncated>${part(1001, 7)}</ListPartsResult>`),
  ]);
  assert.deepEqual(
    await signing.parts("lab/a", "u"),
    new Map([
      [1, { etag: '"e1"', size: 5, crc32: "AAAAAA==" }],
      [1000, { etag: '"e1000"', size: 6, crc32: "AAAAAA==" }],
      [1001, { etag: '"e1001"', size: 7, crc32: "AAAAAA==" }],
    ]),
  );
  assert.deepEqual(
    asked.map(({ url }) => url.searchParams.get("part-number-marker")),
    ["0", "1000"],
  );
});

test("a completion that failed after S3 said 200 has failed", async () => {
  await assert.rejects(s3Of([xml(200, "<Error><Code>InternalError</Code></Error>")]).bucket.complete("a", "u", []), {
    status: 500,
    code: "InternalError",
  });
  const { bucket: signing, asked } = s3Of([
    xml(200, "  \n <CompleteMultipartUploadResult><ETag>&quot;whole&quot;</ETag></CompleteMultipartUploadResult>"),
  ]);
  assert.equal((await signing.complete("a", "u", [{ number: 1, etag: '"e"', crc32: "AAAAAA==" }])).etag, '"whole"');
  assert.match(
    asked[0].body,
    /<Part><PartNumber>1<\/PartNumber><ETag>&quot;e&quot;<\/ETag><ChecksumCRC32>AAAAAA==<\/ChecksumCRC32><\/Part>/,
  );
});

test("a listing gives keys as they are, and where it goes on", async () => {
  const body =
    "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>more</NextContinuationToken><Contents><Key>lab/a%2Bb+c</Key><Size>3</Size>" +
    "<LastModified>2026-11-20T10:00:00Z</LastModified><ETag>&quot;e&quot;</ETag></Contents><CommonPrefixes><Prefix>lab/d%20e/</Prefix></CommonPrefixes></ListBucketResult>";
  const { bucket: signing } = s3Of([xml(200, body)]);
  assert.deepEqual(await signing.list({ prefix: "lab/" }), {
    objects: [{ key: "lab/a+b c", size: 3, modified: "2026-11-20T10:00:00Z", etag: '"e"' }],
    folders: ["lab/d e/"],
    next: "more",
  });
});

test("a listing needs no leave to be asked for: its signature stands in its address, and no header of ours goes with it", async () => {
  const { bucket: signing, asked } = s3Of([xml(200, "<ListBucketResult></ListBucketResult>")]);
  await signing.list({ prefix: "lab/", token: "more" });
  const [{ url, headers }] = asked;
  assert.deepEqual(
    [...headers.keys()].filter((name) => name !== "host"),
    [],
  );
  assert.match(url.searchParams.get("X-Amz-Signature"), /^[0-9a-f]{64}$/);
  assert.equal(url.searchParams.get("X-Amz-Expires"), "300");
  assert.equal(url.searchParams.get("continuation-token"), "more");
});

test("a HEAD that is refused is told apart by a listing: nothing there, or there and refused", async () => {
  const listing = (key) => xml(200, `<ListBucketResult>${key ? `<Contents><Key>${key}</Key></Contents>` : ""}</ListBucketResult>`);
  assert.equal(await s3Of([xml(403), listing("")]).bucket.head("lab/a"), null);
  assert.equal(await s3Of([xml(404)]).bucket.head("lab/a"), null);
  await assert.rejects(s3Of([xml(403), listing("lab/a"), xml(403)]).bucket.head("lab/a"), { status: 403 });
  const whole = { "content-length": "5", etag: '"e"', "x-amz-checksum-crc32": "AAAAAA==", "x-amz-checksum-type": "FULL_OBJECT" };
  const held = new Response(null, { headers: whole });
  assert.equal((await s3Of([held]).bucket.head("lab/a")).crc32, "AAAAAA==");
  const composite = new Response(null, { headers: { ...whole, "x-amz-checksum-type": "COMPOSITE" } });
  assert.equal((await s3Of([composite]).bucket.head("lab/a")).crc32, null);
});

test("a request under another address of the bucket is signed for that one", async () => {
  const { bucket: signing, asked } = s3Of([xml(200, "<ListBucketResult></ListBucketResult>")]);
  await signing.request("GET", "", { query: { prefix: "lab/" }, address: "https://s3.us-east-1.amazonaws.com/bucket" });
  assert.equal(asked[0].url.host, "s3.us-east-1.amazonaws.com");
  assert.equal(asked[0].url.pathname, "/bucket");
  assert.equal(/Signature=(\w+)/.exec(asked[0].headers.get("authorization"))[1], signatureOf(asked[0]));
});

test("an answer that sends the browser elsewhere is refused", async () => {
  const { bucket: signing, asked } = s3Of([{ type: "opaqueredirect", ok: false, status: 0 }]);
  await assert.rejects(signing.request("GET", "a"), { code: "Redirected", isRedirect: true, isConnection: false });
  assert.equal(asked[0].redirect, "manual");
});

// Enough of an XMLHttpRequest, which follows redirects by itself and tells where the answer came from.
const sendTo = async (responseURL, { etag = '"e"', isStuck = false, onRequest = () => {} } = {}) => {
  const { bucket: signing } = s3Of([]);
  globalThis.XMLHttpRequest = class extends EventTarget {
    constructor() {
      super();
      onRequest(this);
    }
    upload = new EventTarget();
    status = 200;
    open(_method, url) {
      this.responseURL = responseURL ?? url;
    }
    setRequestHeader() {}
    getResponseHeader() {
      return etag;
    }
    send() {
      if (!isStuck) queueMicrotask(() => this.#end("load"));
    }
    abort() {
      this.#end("abort");
    }
    #end(how) {
      this.dispatchEvent(new Event(how));
      this.dispatchEvent(new Event("loadend"));
    }
  };
  return (await signing.put("lab/a", new Blob(["x"])))("etag");
};

test("a file whose answer came from another host did not arrive", async () => {
  assert.equal(await sendTo(), '"e"');
  for (const elsewhere of ["https://proxy.example.org/login", "http://bucket.s3.us-east-1.amazonaws.com/lab/a"])
    await assert.rejects(sendTo(elsewhere), { code: "Redirected" });
});

test("a request of which nothing moves for two minutes has lost its connection", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout", "Date"], now: Date.now() });
  let request = null;
  const sent = sendTo(undefined, { isStuck: true, onRequest: (it) => (request = it) });
  let error = null;
  sent.catch((it) => (error = it));
  while (!request && !error) await new Promise(setImmediate);
  assert.equal(error, null);
  await new Promise(setImmediate);
  context.mock.timers.tick(100_000);
  request.upload.dispatchEvent(Object.assign(new Event("progress"), { loaded: 1 }));
  context.mock.timers.tick(100_000);
  await new Promise(setImmediate);
  assert.equal(error, null);
  context.mock.timers.tick(20_000);
  await assert.rejects(sent, { status: 0, isConnection: true });
});

test("a page that something on the way answered with is no answer of S3's, and passes like a lost connection", async () => {
  const page = "<html><body>Sign in to the network</body></html>";
  const others = {
    list: (signing) => signing.list({ prefix: "lab/" }),
    parts: (signing) => signing.parts("lab/a", "u"),
    complete: (signing) => signing.complete("lab/a", "u", []),
  };
  for (const [name, ask] of Object.entries(others))
    for (const body of [page, ""])
      await assert.rejects(ask(s3Of([xml(200, body)]).bucket), { isNotS3: true, isConnection: true }, name);
  await assert.rejects(sendTo(undefined, { etag: null }), { isNotS3: true, isConnection: true });
});
