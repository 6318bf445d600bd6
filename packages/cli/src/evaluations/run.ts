import { randomUUID } from "node:crypto";
import { evaluation } from "@weir/contracts";
import { type Flags, UsageError, wholeNumber } from "../command.ts";
import type { Connection } from "../connection.ts";
import { type Output, printable } from "../output.ts";

export interface AskedRun {
  readonly dataset: string;
  readonly candidateModel?: string;
  readonly answersOf?: string;
}

/** @param flags with --evaluator @returns its id, which was told before it is judged: whoever is interrupted knows what to resume */
export async function startRun(
  { client, call }: Connection,
  output: Output,
  asked: AskedRun,
  flags: Flags,
): Promise<string> {
  const evaluators = flags.list("evaluator").map(evaluatorOf);
  if (evaluators.length === 0) throw new UsageError("--evaluator is missing");
  const runId = randomUUID();
  await client(evaluation.EvaluationService).createRun({ ...asked, runId, evaluators }, call);
  output.note(`run ${runId}`);
  return runId;
}

export function evaluatorOf(text: string): { name: string; version: number } {
  const [name = "", version, ...rest] = text.split("@");
  if (rest.length > 0) throw new UsageError(`--evaluator is NAME or NAME@VERSION, not ${printable(text)}`);
  return { name, version: version === undefined ? 0 : Number(wholeNumber("the version", version, 1n)) };
}

/** Goes on with a run to its end. */
export async function follow({ client, call }: Connection, runId: string, output: Output): Promise<void> {
  let last: evaluation.ContinueRunResponse | undefined;
  // No deadline: a run may take hours, and tells where it is.
  const { headers } = call;
  for await (const at of client(evaluation.EvaluationService).continueRun({ runId }, { headers })) last = at;
  if (last === undefined || last.resultsDigest === "") throw new Error(`The run stopped: weir eval resume ${runId}`);
  output.message(evaluation.ContinueRunResponseSchema, last, ({ judged, resultsDigest }) => {
    return `${judged} records judged\nresults ${resultsDigest}`;
  });
}
