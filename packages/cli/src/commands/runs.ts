import { createReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import { createInterface } from "node:readline";
import { fromJsonString } from "@bufbuild/protobuf";
import { evaluation } from "@weir/contracts";
import { type Command, required, wholeNumber } from "../command.ts";
import type { Connection } from "../connection.ts";
import { comparisonText } from "../evaluations/texts.ts";
import { follow, startRun } from "../evaluations/run.ts";

/** Of an upload's chunk. */
const CHUNK_LINES = 1_000;
const CHUNK_LENGTH = 1_048_576;

export const runCommands: readonly Command[] = [
  {
    name: "evaluators put",
    usage: "<name> <definition.json> [--description TEXT]",
    summary: "define an evaluator; what differs becomes a new version",
    words: { least: 2, most: 2 },
    options: { description: { type: "string" } },
    async run({ connection, output, flags, args: [name = "", file = ""] }) {
      const definition = fromJsonString(evaluation.DefinitionSchema, await readFile(file, "utf8"));
      const { client, call } = connection();
      const request = { name, description: flags.text("description") ?? "", definition };
      const put = await client(evaluation.EvaluationService).putEvaluator(request, call);
      output.message(evaluation.PutEvaluatorResponseSchema, put, ({ version }) => `${name}@${version}`);
    },
  },
  {
    name: "eval upload",
    usage: "<records.jsonl>",
    summary: "keep records as a dataset that never changes; tells its digest",
    words: { least: 1, most: 1 },
    async run({ connection, output, args: [file = ""] }) {
      const committed = await upload(connection(), file);
      output.message(evaluation.CommitUploadResponseSchema, committed, ({ dataset, records }) => {
        return `${dataset}\n${records} records`;
      });
    },
  },
  {
    name: "eval run",
    usage: "<dataset> --evaluator NAME[@VERSION]…",
    summary: "judge a dataset's answers; nothing is generated",
    words: { least: 1, most: 1 },
    options: { evaluator: { type: "string", multiple: true } },
    async run({ connection, output, flags, args: [dataset = ""] }) {
      const runId = await startRun(connection(), output, { dataset }, flags);
      await follow(connection(), runId, output);
    },
  },
  {
    name: "eval rejudge",
    usage: "<replay's run> --dataset DATASET --evaluator NAME[@VERSION]…",
    summary: "judge the stored answers of a replay once more; nothing is generated",
    words: { least: 1, most: 1 },
    options: { evaluator: { type: "string", multiple: true }, dataset: { type: "string" } },
    async run({ connection, output, flags, args: [answersOf = ""] }) {
      const runId = await startRun(connection(), output, { dataset: required(flags, "dataset"), answersOf }, flags);
      await follow(connection(), runId, output);
    },
  },
  {
    name: "eval resume",
    usage: "<run>",
    summary: "go on with a run that was interrupted; tells the digest of one that is done",
    words: { least: 1, most: 1 },
    run: ({ connection, output, args: [runId = ""] }) => follow(connection(), runId, output),
  },
  {
    name: "eval results",
    usage: "<run>",
    summary: "a run's results as JSON Lines; their SHA-256 is the run's digest",
    words: { least: 1, most: 1 },
    async run({ connection, output, args: [runId = ""] }) {
      const { client, call } = connection();
      const { headers } = call;
      for await (const { lines } of client(evaluation.EvaluationService).streamRunResults({ runId }, { headers })) {
        output.line(lines.slice(0, -1));
      }
    },
  },
  {
    name: "eval compare",
    usage: "<baseline> <candidate> --evaluator NAME [--seed 0] [--resamples 2000]",
    summary: "whether a run is better than another one, by pairs of records",
    words: { least: 2, most: 2 },
    options: { evaluator: { type: "string" }, seed: { type: "string" }, resamples: { type: "string" } },
    async run({ connection, output, flags, args: [baseline = "", candidate = ""] }) {
      const { client, call } = connection();
      const compared = await client(evaluation.EvaluationService).compareRuns(
        {
          baseline,
          candidate,
          evaluator: required(flags, "evaluator"),
          seed: Number(wholeNumber("--seed", flags.text("seed") ?? "0")),
          resamples: Number(wholeNumber("--resamples", flags.text("resamples") ?? "2000", 1n)),
        },
        call,
      );
      output.message(evaluation.CompareRunsResponseSchema, compared, comparisonText);
    },
  },
];

async function upload({ client, call }: Connection, file: string): Promise<evaluation.CommitUploadResponse> {
  const service = client(evaluation.EvaluationService);
  const { uploadId } = await service.startUpload({ name: basename(file) }, call);
  let first = 0;
  let lines: string[] = [];
  let length = 0;
  const send = async (): Promise<void> => {
    if (lines.length === 0) return;
    ({ records: first } = await service.appendRecords({ uploadId, first, lines }, call));
    lines = [];
    length = 0;
  };
  for await (const line of createInterface({ input: createReadStream(file), crlfDelay: Infinity })) {
    if (line.trim() === "") continue;
    lines.push(line);
    length += line.length;
    if (lines.length >= CHUNK_LINES || length >= CHUNK_LENGTH) await send();
  }
  await send();
  return await service.commitUpload({ uploadId }, call);
}
