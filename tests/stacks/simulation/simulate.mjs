// Reads a JSON list of simulations from standard input, has each decided by an IAM simulator, and prints a JSON list of the decisions.
// Context keys that the simulator does not know of an action are told as an error rather than left out in silence.
import { runSimulation } from '@cloud-copilot/iam-simulate'

const chunks = []
for await (const chunk of process.stdin) chunks.push(chunk)

const decisions = []
for (const simulation of JSON.parse(Buffer.concat(chunks).toString())) {
  const answer = await runSimulation(simulation, { simulationMode: 'Strict' })
  decisions.push(
    answer.resultType === 'error'
      ? { decision: 'Error', why: JSON.stringify(answer.errors) }
      : { decision: answer.overallResult, why: JSON.stringify(answer.result?.ignoredContextKeys ?? []) },
  )
}
process.stdout.write(JSON.stringify(decisions))
