import assert from "node:assert/strict";
import test from "node:test";
import { Server } from "../../../web/files/static/files/server.js";
import { Control } from "../../../web/uploads/static/uploads/control.js";

// A site that says so often that access is being made ready, and then gives it.
const readyAfter = (waits) => {
  let asked = 0;
  globalThis.fetch = async () => {
    asked += 1;
    const isReady = asked > waits;
    const document = isReady ? { bucket: "b" } : { detail: "Your access is being made ready on AWS.", retry_after: 0.001 };
    return { ok: isReady, status: isReady ? 200 : 503, json: async () => document };
  };
  return () => asked;
};

test("an upload waits for access that is being made ready, however often it has to ask", async () => {
  const asked = readyAfter(20);
  assert.deepEqual(await new Control("/api", "token").session(), { bucket: "b" });
  assert.equal(asked(), 21);
});

test("the file browser waits for it, too", async () => {
  const asked = readyAfter(3);
  assert.deepEqual(await new Server({ session: "/api/session", token: "token" }).session(), { bucket: "b" });
  assert.equal(asked(), 4);
});

test("what is refused for good is told at once", async () => {
  globalThis.fetch = async () => ({ ok: false, status: 403, json: async () => ({ detail: "You are suspended." }) });
  await assert.rejects(new Server({ session: "/api/session", token: "token" }).session(), /You are suspended/);
  await assert.rejects(new Control("/api", "token").session(), /You are suspended/);
});
