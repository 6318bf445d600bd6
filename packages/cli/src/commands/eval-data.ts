import { evaluation } from "@weir/contracts";
import { choice, type Command, required, UsageError, wholeNumber } from "../command.ts";
import { evaluatorOf } from "../evaluations/run.ts";
import { summaryText } from "../evaluations/texts.ts";
import { instant } from "../instant.ts";
import { table, time } from "../output.ts";

const ENDED = {
  succeeded: evaluation.Ended.SUCCEEDED,
  failed: evaluation.Ended.FAILED,
  cancelled: evaluation.Ended.CANCELLED,
} as const;

export const evaluationDataCommands: readonly Command[] = [
  {
    name: "eval snapshot",
    usage:
      "--workspace-id ID [--from 7d] [--to 0s] [--model NAME] [--key-id ID] [--tag name=value]… [--ended succeeded] [--share 0.1] [--seed 0] [--limit 100000]",
    summary: "choose recorded requests as a dataset: their ids, not their texts",
    options: {
      "workspace-id": { type: "string" },
      from: { type: "string" },
      to: { type: "string" },
      model: { type: "string" },
      "key-id": { type: "string" },
      tag: { type: "string", multiple: true },
      ended: { type: "string" },
      share: { type: "string" },
      seed: { type: "string" },
      limit: { type: "string" },
      name: { type: "string" },
    },
    async run({ connection, output, flags }) {
      const asked = {
        name: flags.text("name") ?? "traffic",
        workspaceId: required(flags, "workspace-id"),
        fromMs: instant("from", flags.text("from")),
        toMs: instant("to", flags.text("to")),
        model: flags.text("model") ?? "",
        keyId: flags.text("key-id") ?? "",
        tags: Object.fromEntries(flags.list("tag").map(tagPair)),
        ended: choice("--ended", flags.text("ended") ?? "succeeded", ENDED),
        share: shareOf("--share", flags.text("share") ?? "0"),
        seed: Number(wholeNumber("--seed", flags.text("seed") ?? "0")),
        maxRecords: Number(wholeNumber("--limit", flags.text("limit") ?? "100000", 1n)),
      };
      const { client, call } = connection();
      const { headers } = call;
      let last: evaluation.SnapshotTrafficResponse | undefined;
      for await (const at of client(evaluation.EvaluationService).snapshotTraffic(asked, { headers })) last = at;
      if (last === undefined || last.dataset === "") throw new Error("The snapshot stopped before its end.");
      output.message(evaluation.SnapshotTrafficResponseSchema, last, ({ dataset, records }) => {
        return `${dataset}\n${records} records`;
      });
    },
  },
  {
    name: "eval erase",
    usage: "<dataset>",
    summary: "destroy a dataset's texts, and what was generated from them; results stay",
    words: { least: 1, most: 1 },
    async run({ connection, output, args: [dataset = ""] }) {
      const { client, call } = connection();
      const erased = await client(evaluation.EvaluationService).eraseDataset({ dataset }, call);
      output.message(evaluation.EraseDatasetResponseSchema, erased, ({ atMs }) => `erased ${time(atMs)}`);
    },
  },
  {
    name: "eval summary",
    usage: "<run>",
    summary: "what a run found, by evaluator, and its agreement with people's labels",
    words: { least: 1, most: 1 },
    async run({ connection, output, args: [runId = ""] }) {
      const { client, call } = connection();
      const found = await client(evaluation.EvaluationService).summarizeRun({ runId }, call);
      output.message(evaluation.SummarizeRunResponseSchema, found, summaryText);
    },
  },
  {
    name: "eval risks",
    usage: "<run> [--limit 20]",
    summary: "the records that are most likely bad, worst first",
    words: { least: 1, most: 1 },
    options: { limit: { type: "string" } },
    async run({ connection, output, flags, args: [runId = ""] }) {
      const { client, call } = connection();
      const limit = Number(wholeNumber("--limit", flags.text("limit") ?? "20", 1n));
      const found = await client(evaluation.EvaluationService).listRisks({ runId, limit }, call);
      output.message(evaluation.ListRisksResponseSchema, found, ({ risks }) =>
        table(
          ["RECORD", "RISK", "EVALUATOR", "FINDINGS"],
          risks.map(({ record, risk, evaluator, findings }) => [
            record,
            risk.toFixed(3),
            evaluator,
            findings.join("; "),
          ]),
        ),
      );
    },
  },
  {
    name: "eval sampling put",
    usage: "--workspace-id ID --share 0.01 --evaluator NAME[@VERSION]… [--embedding-model NAME]",
    summary: "judge a share of a workspace's answers as they come; 0: none",
    options: {
      "workspace-id": { type: "string" },
      share: { type: "string" },
      evaluator: { type: "string", multiple: true },
      "embedding-model": { type: "string" },
    },
    async run({ connection, output, flags }) {
      const sampling = {
        workspaceId: required(flags, "workspace-id"),
        share: shareOf("--share", required(flags, "share")),
        evaluators: flags.list("evaluator").map(evaluatorOf),
        embeddingModel: flags.text("embedding-model") ?? "",
      };
      const { client, call } = connection();
      const put = await client(evaluation.EvaluationService).putSampling({ sampling }, call);
      output.message(evaluation.PutSamplingResponseSchema, put, ({ sampling: one }) =>
        samplingText(one === undefined ? [] : [one]),
      );
    },
  },
  {
    name: "eval sampling list",
    usage: "",
    summary: "which share of which workspaces' answers is judged as they come",
    async run({ connection, output }) {
      const { client, call } = connection();
      const found = await client(evaluation.EvaluationService).listSampling({}, call);
      output.message(evaluation.ListSamplingResponseSchema, found, ({ sampling }) => samplingText(sampling));
    },
  },
  {
    name: "eval drift",
    usage: "[--workspace-id ID] [--model NAME] [--window-hours 24] [--reference-hours 168] [--alpha 0.001]",
    summary: "whether models answer otherwise than they did; ends with 1 where one does",
    options: {
      "workspace-id": { type: "string" },
      model: { type: "string" },
      to: { type: "string" },
      "window-hours": { type: "string" },
      "reference-hours": { type: "string" },
      alpha: { type: "string" },
    },
    async run({ connection, output, flags }) {
      const asked = {
        workspaceId: flags.text("workspace-id") ?? "",
        model: flags.text("model") ?? "",
        toMs: instant("to", flags.text("to")),
        windowHours: Number(wholeNumber("--window-hours", flags.text("window-hours") ?? "24", 1n)),
        referenceHours: Number(wholeNumber("--reference-hours", flags.text("reference-hours") ?? "168", 1n)),
        alpha: shareOf("--alpha", flags.text("alpha") ?? "0.001"),
      };
      const { client, call } = connection();
      const found = await client(evaluation.EvaluationService).checkDrift(asked, call);
      output.message(evaluation.CheckDriftResponseSchema, found, ({ drifts }) =>
        table(
          ["WORKSPACE", "MODEL", "SIGNAL", "BY", "BEFORE", "NOW", "N BEFORE", "N NOW", "P", ""],
          drifts.map((of) => [
            of.workspaceId,
            of.model,
            of.signal,
            of.by,
            of.referenceValue.toFixed(4),
            of.windowValue.toFixed(4),
            of.referenceCount,
            of.windowCount,
            of.pValue.toPrecision(3),
            of.drifted ? "drifted" : "",
          ]),
        ),
      );
      const drifted = found.drifts.filter((of) => of.drifted).length;
      if (drifted > 0) throw new Error(`${drifted} signals drifted`);
    },
  },
];

const samplingText = (sampling: readonly evaluation.Sampling[]): string =>
  table(
    ["WORKSPACE", "SHARE", "EVALUATORS", "EMBEDDINGS"],
    sampling.map(({ workspaceId, share, evaluators, embeddingModel }) => [
      workspaceId,
      share,
      evaluators.map(({ name, version }) => `${name}@${version}`).join(" ") || "–",
      embeddingModel || "–",
    ]),
  );

function tagPair(text: string): [string, string] {
  const at = text.indexOf("=");
  if (at < 1) throw new UsageError("--tag is name=value");
  return [text.slice(0, at), text.slice(at + 1)];
}

function shareOf(name: string, text: string): number {
  const share = /^\d(\.\d{1,9})?$/.test(text) ? Number(text) : Number.NaN;
  if (!(share <= 1)) throw new UsageError(`${name} is a number from 0 to 1`);
  return share;
}
