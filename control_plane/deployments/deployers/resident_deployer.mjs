// The CDK CLI's own engine in a process that stays: deploys assemblies, and reports each event as one line of JSON.
//
// In:  {id, op: "deploy", assembly, stack, revertDrift}   {id, op: "answer", go}   {id, op: "forget"}   {id, op: "end"}
//      {id, op: "diff", assembly, stack}   {id, op: "ping"}
// Out: {ready: true}, and {id, event: "line" | "plan" | "resource" | "done" | "aborted" | "error" | "diff" | "pong", ...}
//
// After "plan" a deployment waits for its answer: only then is the change set executed. "forget" says no beforehand, and lets
// the toolkit remove the change set; "end" ends one request at once, with what it asks AWS at that moment, and no other.
import { AsyncLocalStorage } from "node:async_hooks";
import http from "node:http";
import https from "node:https";
import readline from "node:readline";
import { stripVTControlCharacters } from "node:util";
import { StackSelectionStrategy, Toolkit, DiffMethod } from "@aws-cdk/toolkit-lib";
import { plan } from "./resident_plan.mjs";

const POLLING_MS = 1000;
const LEVELS = new Set(["error", "warn", "info", "result"]);
const NESTED = "AWS::CloudFormation::Stack";
const ASK_TO_DEPLOY = "CDK_TOOLKIT_I5060";
const STACK_ACTIVITY = "CDK_TOOLKIT_I5502";
// What the events say already, once for each resource.
const QUIET = new Set([STACK_ACTIVITY, "CDK_TOOLKIT_I5501", "CDK_TOOLKIT_I5503", "CDK_TOOLKIT_I5901", "CDK_TOOLKIT_I5900"]);

const say = (message) => process.stdout.write(JSON.stringify(message) + "\n");
const request = new AsyncLocalStorage();
const answers = new Map();
const forgotten = new Set();
const ended = new Set();
// What each request waits for AWS to answer.
const asked = new Map();

const lines = (id, text) => {
  for (const line of stripVTControlCharacters(String(text)).split("\n")) if (line.trim()) say({ id, event: "line", text: line });
};

const activity = (id, { event, progress }) =>
  say({
    id,
    event: "resource",
    logicalId: event.LogicalResourceId,
    type: event.ResourceType,
    status: event.ResourceStatus,
    reason: event.ResourceStatusReason ?? "",
    total: progress?.total ?? 0,
    completed: progress?.completed ?? 0,
  });

const ioHost = {
  async notify(message) {
    const current = request.getStore();
    if (!current || current.isQuiet) return;
    if (message.code === STACK_ACTIVITY) activity(current.id, message.data);
    else if (LEVELS.has(message.level) && !QUIET.has(message.code)) lines(current.id, message.message);
  },
  async requestResponse(message) {
    const current = request.getStore();
    if (current?.isQuiet || message.code !== ASK_TO_DEPLOY) return message.defaultResponse;
    if (forgotten.has(current.id)) return false;
    const planned = await whole(message.data, current);
    if (forgotten.has(current.id)) return false;
    const answer = new Promise((resolve) => answers.set(current.id, resolve));
    say({ id: current.id, event: "plan", ...planned });
    return answer;
  },
};

// What a deployment asks about leaves out what is in nested stacks: where one of those changes, CDK's diff tells the rest.
const whole = async ({ templateDiffs }, { assembly, stack }) => {
  const own = plan(Object.values(templateDiffs));
  if (!own.resources.some((one) => one.type === NESTED)) return own;
  return plan(await request.run({ ...request.getStore(), isQuiet: true }, () => differences(assembly, stack)));
};

// Connections are kept too: without an agent of ours, each of the toolkit's clients opens its own.
const { Agent } = process.env.AWS_ENDPOINT_URL?.startsWith("http:") ? http : https;

// A call that AWS does not answer at all ends by itself: some are shared by all deployments, such as who we are.
const CALL_MS = Number(process.env.AWS_CALL_MS ?? 60_000);

// Knows which request of ours asks CloudFormation what, so that one can be ended and the others go on. The toolkit cannot be told
// to stop: a change set that AWS is slow about would be waited for without end, and the next try's, of the same name, be taken
// for it.
class Attributing extends Agent {
  addRequest(call, ...more) {
    super.addRequest(call, ...more);
    call.setTimeout(CALL_MS, () => call.destroy(new Error(`AWS did not answer for ${CALL_MS / 1000} s (socket hang up)`)));
    const id = request.getStore()?.id;
    if (id === undefined || !String(call.getHeader("authorization")).includes("/cloudformation/aws4_request")) return;
    if (ended.has(id)) return void call.destroy(new Error("This request was ended."));
    const calls = asked.get(id) ?? new Set();
    asked.set(id, calls.add(call));
    call.once("close", () => calls.delete(call));
  }
}

const agent = new Attributing({ keepAlive: true, maxSockets: 64 });

const end = (id) => {
  if (!working.has(id)) return;
  ended.add(id);
  answers.get(id)?.(false);
  for (const call of asked.get(id) ?? []) call.destroy(new Error("This request was ended."));
};

// One toolkit for all requests, and within it one `Deployments`, which keeps the roles that it assumed and the clients that it
// made. The toolkit makes a new one for each call; that is its own private matter, so where it is not so any more, nothing is kept.
const KEPT_MS = 10 * 60 * 1000;
const toolkit = new Toolkit({ ioHost, color: false, emojis: false, sdkConfig: { httpOptions: { agent } } });
if (typeof toolkit.deploymentsForAction === "function") {
  const make = toolkit.deploymentsForAction.bind(toolkit);
  let kept,
    made = -Infinity;
  toolkit.deploymentsForAction = (action) => {
    if (performance.now() - made > KEPT_MS) [kept, made] = [make(action), performance.now()];
    kept.catch(() => {
      made = -Infinity;
    });
    return kept;
  };
}

const select = (stack) => ({ strategy: StackSelectionStrategy.PATTERN_MUST_MATCH_SINGLE, patterns: [stack] });

const deploy = async ({ id, assembly, stack, revertDrift }) => {
  const source = await toolkit.fromAssemblyDirectory(assembly);
  const result = await toolkit.deploy(source, {
    stacks: select(stack),
    deploymentMethod: { method: "change-set", revertDrift: Boolean(revertDrift) },
    stackEventPollingInterval: POLLING_MS,
  });
  say({ id, event: "done", stacks: result.stacks.length });
};

// Of the stack and of those nested in it.
const differences = async (assembly, stack) => {
  const source = await toolkit.fromAssemblyDirectory(assembly);
  return Object.values(await toolkit.diff(source, { stacks: select(stack), method: DiffMethod.TemplateOnly() }));
};

const diff = async ({ id, assembly, stack }) => {
  const found = await differences(assembly, stack);
  say({ id, event: "diff", ...plan(found) });
};

const failure = (id, error) => {
  let cause = error;
  while (cause.cause instanceof Error) cause = cause.cause;
  if (error.name === "DeployAborted" || cause.name === "DeployAborted") return say({ id, event: "aborted" });
  return say({
    id,
    event: "error",
    name: cause.name,
    message: stripVTControlCharacters(error.message ?? String(error)),
    code: String(cause.Code ?? cause.code ?? ""),
    status: cause.$metadata?.httpStatusCode ?? 0,
  });
};

const WORK = { deploy, diff };
const working = new Set();

const work = async (message) => {
  working.add(message.id);
  try {
    await WORK[message.op](message);
  } catch (error) {
    failure(message.id, error);
  } finally {
    for (const kept of [working, forgotten, ended, asked, answers]) kept.delete(message.id);
  }
};

readline
  .createInterface({ input: process.stdin })
  .on("line", (line) => {
    const message = JSON.parse(line);
    if (message.op === "ping") return say({ id: message.id, event: "pong" });
    if (message.op === "end") return end(message.id);
    if (message.op === "forget") {
      if (working.has(message.id)) forgotten.add(message.id);
      answers.get(message.id)?.(false);
      return answers.delete(message.id);
    }
    if (message.op === "answer") {
      answers.get(message.id)?.(message.go);
      return answers.delete(message.id);
    }
    return request.run(message, () => work(message));
  })
  .on("close", () => process.exit(0)); // Whoever started us is gone: what is at work on AWS, AWS ends.

say({ ready: true });
