import assert from "node:assert/strict";
import test from "node:test";
import { Bucket } from "../../../control_plane/research/storage/static/storage/s3.js";
import { fileName, sourceOf } from "../../../web/files/static/files/source.js";

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
