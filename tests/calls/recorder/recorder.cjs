// Loaded by Node as it starts: writes down every signed request to AWS, as `resident <principal> <service>:<action>`, once for each kind.
// `own` is the key that the process was started with; `assumed` is any other, which is a role that it took on.
const dns = require("node:dns");
const fs = require("node:fs");
const http = require("node:http");
const https = require("node:https");
const net = require("node:net");
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

const outside = process.env.RECORD_OUTSIDE;
const LOOPBACK = new Set(["localhost", "::1", ""]);
const isOutside = (host) => typeof host === "string" && !host.startsWith("127.") && !LOOPBACK.has(host);
const tell = (host) => {
  if (isOutside(host)) fs.appendFileSync(outside, `node ${process.argv.slice(1, 4).join(" ")}: ${host}\n`);
};

if (outside) {
  const { connect } = net.Socket.prototype;
  net.Socket.prototype.connect = function (...words) {
    const [options] = Array.isArray(words[0]) ? words[0] : words;
    tell(options?.host);
    return connect.apply(this, words);
  };
  const { lookup } = dns;
  dns.lookup = (host, ...more) => {
    tell(host);
    return lookup(host, ...more);
  };
}

if (folder) {
  for (const module of [http, https]) {
    const { request } = module;
    module.request = (...words) => watch(request.apply(module, words));
  }
}
