import assert from "node:assert/strict";
import test from "node:test";
import { Server } from "../../../web/files/static/files/server.js";
import { csrfToken } from "../../../control_plane/research/storage/static/storage/csrf.js";
import { Api } from "../../../web/uploads/static/uploads/api.js";

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
  assert.deepEqual(await new Api("/api", "token").session(), { bucket: "b" });
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
  await assert.rejects(new Api("/api", "token").session(), /You are suspended/);
});

test("each request carries the token of now: who signs in again, in another tab, goes on", async () => {
  const given = [];
  globalThis.fetch = async (_address, { headers }) => {
    given.push(headers["x-csrftoken"]);
    return { ok: true, json: async () => ({}) };
  };
  const asks = [
    new Api("/api", "of-the-page"),
    new Server({
      session: "/api/session",
      get token() {
        return csrfToken("of-the-page");
      },
    }),
  ];
  for (const cookie of ["", "theme=dark; csrftoken=first", "csrftoken=second; theme=dark"]) {
    globalThis.document = { cookie };
    for (const one of asks) await one.session();
  }
  delete globalThis.document;
  assert.deepEqual(given, ["of-the-page", "of-the-page", "first", "first", "second", "second"]);
});

test("without a session and its token one is told to sign in, and not of the token", async () => {
  globalThis.fetch = async () => ({ ok: false, status: 403, json: async () => ({ detail: "CSRF check Failed" }) });
  for (const one of [new Api("/api", "old"), new Server({ session: "/api/session", token: "old" })])
    await assert.rejects(one.session(), /You are signed out/);
});

test("a page that something on the way answered with, as networks do before one signs in, is no answer of the site's", async () => {
  let asked = 0;
  globalThis.fetch = async () => {
    asked += 1;
    return new Response(asked === 1 ? "<html>Sign in to the network</html>" : '{"bucket": "b"}');
  };
  assert.deepEqual(await new Api("/api", "token").session(), { bucket: "b" });
  asked = 0;
  await assert.rejects(new Server({ session: "/api/session", token: "token" }).session(), /Something on the way answered/);
});
