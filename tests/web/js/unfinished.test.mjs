import assert from "node:assert/strict";
import test from "node:test";
import { followUnfinished } from "../../../web/uploads/static/uploads/unfinished.js";

// A row of the list of unfinished uploads, as far as the script looks at it.
const rowOf = (upload, uploadId = "u", size = 4000) => {
  const parts = { "[data-state]": { textContent: "" }, progress: { value: 0 } };
  return {
    dataset: { upload: String(upload), key: `lab/inputs/${upload}`, uploadId, size: String(size) },
    querySelector: (name) => parts[name],
    parts,
  };
};
const shown = async (rows, bucket, isMine = () => false) => {
  const root = { querySelectorAll: () => rows, addEventListener() {} };
  followUnfinished(root, { bucket, api: {}, isMine, goOn() {} });
  for (let turns = 0; turns < 5; turns += 1) await new Promise(setImmediate);
  return rows.map(({ parts }) => [parts["[data-state]"].textContent, parts.progress.value]);
};
const part = (size) => ({ size, etag: "", crc32: "" });

test("how far each is, S3 says; what this page sends itself is not asked", async () => {
  const asked = [];
  const bucket = {
    parts: async (key, uploadId) => {
      asked.push([key, uploadId]);
      return new Map([
        [1, part(1000)],
        [2, part(1999)],
      ]);
    },
  };
  const rows = [rowOf(1), rowOf(2), rowOf(3, "")];
  assert.deepEqual(await shown(rows, bucket, (id) => id === 2), [
    ["74 % is there", 74],
    ["being sent by this page", 0],
    ["", 0],
  ]);
  assert.deepEqual(asked, [["lab/inputs/1", "u"]]);
});

test("what S3 dropped has to begin anew, and an S3 that does not answer says nothing about the others", async () => {
  const bucket = {
    parts: async (key) => {
      throw Object.assign(new Error(), { status: key.endsWith("1") ? 404 : 503 });
    },
  };
  assert.deepEqual(
    (await shown([rowOf(1), rowOf(2)], bucket)).map(([text]) => text),
    ["S3 has dropped it: begin anew", "S3 does not say how far it is"],
  );
});
