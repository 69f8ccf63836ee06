// Reads a JSON list of simulations from standard input, has each decided by an IAM simulator, and prints a JSON list of the decisions.
// What does not fit the Service Authorization Reference (an action on a resource of another kind) is told as an error; a simulation
// that is marked `unchecked` is decided all the same.
import { runSimulation, runUnsafeSimulation } from "@cloud-copilot/iam-simulate";

const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);

async function decide({ unchecked, ...simulation }) {
  if (unchecked) return { decision: await runUnsafeSimulation(simulation, {}), why: "" };
  const answer = await runSimulation(simulation, { simulationMode: "Strict" });
  return answer.resultType === "error"
    ? { decision: "Error", why: JSON.stringify(answer.errors) }
    : { decision: answer.overallResult, why: JSON.stringify(answer.result?.ignoredContextKeys ?? []) };
}

const decisions = [];
for (const simulation of JSON.parse(Buffer.concat(chunks).toString())) decisions.push(await decide(simulation));
process.stdout.write(JSON.stringify(decisions));
