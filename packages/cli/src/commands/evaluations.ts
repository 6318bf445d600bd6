import { evaluation } from "@weir/contracts";
import { type Command, wholeNumber } from "../command.ts";
import { enumName, table, time } from "../output.ts";

export const evaluationCommands: readonly Command[] = [
  {
    name: "evaluations list",
    usage: "[--request ID] [--workspace-id ID] [--evaluator NAME] [--limit 50]",
    summary: "results, newest first",
    options: {
      request: { type: "string" },
      "workspace-id": { type: "string" },
      evaluator: { type: "string" },
      limit: { type: "string" },
      page: { type: "string" },
    },
    async run({ connection, output, flags }) {
      const { client, call } = connection();
      const found = await client(evaluation.EvaluationService).listResults(
        {
          requestId: flags.text("request") ?? "",
          workspaceId: flags.text("workspace-id") ?? "",
          evaluator: flags.text("evaluator") ?? "",
          pageSize: Number(wholeNumber("--limit", flags.text("limit") ?? "50", 1n)),
          pageToken: flags.text("page") ?? "",
        },
        call,
      );
      output.message(evaluation.ListResultsResponseSchema, found, ({ results }) =>
        table(
          ["TIME (UTC)", "REQUEST", "EVALUATOR", "VERDICT", "SCORE", "FINDINGS"],
          results.map((of) => [
            time(of.atMs),
            of.requestId,
            `${of.evaluator}@${of.evaluatorVersion}`,
            enumName(evaluation.VerdictSchema, of.verdict),
            of.score.toFixed(2),
            of.findings.join("; "),
          ]),
        ),
      );
      if (found.nextPageToken !== "") output.note(`more: --page ${found.nextPageToken}`);
    },
  },
  {
    name: "evaluators list",
    usage: "",
    summary: "what is evaluated, and by which version",
    async run({ connection, output }) {
      const { client, call } = connection();
      const found = await client(evaluation.EvaluationService).listEvaluators({}, call);
      output.message(evaluation.ListEvaluatorsResponseSchema, found, ({ evaluators }) =>
        table(
          ["NAME", "VERSION", ""],
          evaluators.map(({ name, version, description }) => [name, version, description]),
        ),
      );
    },
  },
];
