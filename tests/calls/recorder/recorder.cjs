// Loaded by Node as it starts: writes down every signed request to AWS, as `resident <principal> <service>:<action>`, once for each kind.
// `own` is the key that the process was started with; `assumed` is any other, which is a role that it took on.
const fs = require("node:fs");
const http = require("node:http");
const https = require("node:https");
const path = require("node:path");

const folder = process.env.RECORD_AWS_CALLS;
const ENOUGH = 4096;
const seen = new Set();

const actionOf = (request, body) => {
  const target = request.getHeader("x-amz-target");
  if (target) return String(target).split(".").pop();
  const action = new URLSearchParams(body).get("Action");
  return action ?? `${request.method} ${request.path.split("?")[0].split("/").length > 2 ? "object" : "bucket"}`;
};

const write = (request, body) => {
  const signed = /Credential=([^/]+)\/[^/]+\/[^/]+\/([^/]+)\//.exec(String(request.getHeader("authorization") ?? ""));
  // The embedded AWS's root, which bootstraps, has the account's number for a key.
  if (!signed || /^\d{12}$/.test(signed[1])) return;
  const principal = signed[1] === process.env.AWS_ACCESS_KEY_ID ? "own" : "assumed";
  const line = `resident ${principal} ${signed[2]}:${actionOf(request, body)}`;
  if (seen.has(line)) return;
  seen.add(line);
  fs.appendFileSync(path.join(folder, `${process.pid}.calls`), line + "\n");
};

const watch = (request) => {
  let body = "";
  const take = (chunk) => {
    if (body.length < ENOUGH && (typeof chunk === "string" || Buffer.isBuffer(chunk))) body += String(chunk).slice(0, ENOUGH);
  };
  const { write: send, end } = request;
  request.write = function (chunk, ...rest) {
    take(chunk);
    return send.call(this, chunk, ...rest);
  };
  request.end = function (chunk, ...rest) {
    take(chunk);
    write(this, body);
    return end.call(this, chunk, ...rest);
  };
  return request;
};

if (folder) {
  for (const module of [http, https]) {
    const { request } = module;
    module.request = (...words) => watch(request.apply(module, words));
  }
}
