import { evaluation } from "@weir/contracts";
import { type Command, UsageError, wholeNumber } from "../command.ts";
import type { Connection } from "../connection.ts";
import { enumName, printable, table, time } from "../output.ts";

/** Of one call: each may take as long as evaluating its records. */
const AT_ONCE = 50;

const place = ({ producer, firstNumber, lastNumber }: evaluation.DeadLetter): string =>
  `${producer} ${firstNumber === lastNumber ? firstNumber : `${firstNumber}-${lastNumber}`}`;

export const deadLetterCommands: readonly Command[] = [
  {
    name: "dlq list",
    usage: "[--limit 100]",
    summary: "records that a consumer could not work with, oldest first",
    options: { limit: { type: "string" }, page: { type: "string" } },
    async run({ connection, output, flags }) {
      const { client, call } = connection();
      const pageSize = Number(wholeNumber("--limit", flags.text("limit") ?? "100", 1n));
      const asked = { pageSize, pageToken: flags.text("page") ?? "" };
      const found = await client(evaluation.EvaluationService).listDeadLetters(asked, call);
      output.message(evaluation.ListDeadLettersResponseSchema, found, ({ letters }) =>
        table(
          ["TIME (UTC)", "ID", "CONSUMER", "PLACE", "REASON"],
          letters.map((letter) => [time(letter.atMs), letter.id, letter.consumer, place(letter), letter.reason]),
        ),
      );
      if (found.nextPageToken !== "") output.note(`more: --page ${found.nextPageToken}`);
    },
  },
  {
    name: "dlq show",
    usage: "<id>",
    summary: "what is known of one of them",
    words: { least: 1, most: 1 },
    async run({ connection, output, args: [id = ""] }) {
      const { client, call } = connection();
      const found = await client(evaluation.EvaluationService).getDeadLetter({ id: idOf(id) }, call);
      output.message(evaluation.GetDeadLetterResponseSchema, found, ({ letter, records }) =>
        [
          ...(letter === undefined
            ? []
            : [`${letter.consumer}: ${printable(letter.reason)}`, printable(place(letter)), time(letter.atMs)]),
          table(
            ["KIND", "NUMBER", "REQUEST", "WORKSPACE", "SHA-256"],
            records.map(({ kind, number, requestId, workspaceId, sha256 }) => [
              kind,
              number,
              requestId === "" ? "–" : requestId,
              workspaceId === "" ? "–" : workspaceId,
              Buffer.from(sha256).toString("hex"),
            ]),
          ),
        ].join("\n"),
      );
    },
  },
  {
    name: "dlq retry",
    usage: "<id>… | --all",
    summary: "work with them once more; what was worked in already has no second effect",
    words: { least: 0, most: AT_ONCE },
    options: { all: { type: "boolean" } },
    async run({ connection, output, flags, args }) {
      const opened = connection();
      let [done, failed] = [0, 0];
      for await (const ids of chosen(opened, args, flags.on("all"))) {
        const retried = await opened.client(evaluation.EvaluationService).retryDeadLetters({ ids }, opened.call);
        done += retried.letters.filter(({ result }) => result === evaluation.RetryResult.DONE).length;
        failed += retried.letters.filter(({ result }) => result === evaluation.RetryResult.FAILED).length;
        output.message(evaluation.RetryDeadLettersResponseSchema, retried, ({ letters }) =>
          letters
            .map(({ id, result, reason }) =>
              printable(`${id} ${enumName(evaluation.RetryResultSchema, result)} ${reason}`.trimEnd()),
            )
            .join("\n"),
        );
      }
      output.note(`${done} worked in`);
      if (failed > 0) throw new Error(`${failed} failed once more and stay`);
    },
  },
  {
    name: "dlq drop",
    usage: "<id>… | --all",
    summary: "forget them; the audit log keeps its own",
    words: { least: 0, most: AT_ONCE },
    options: { all: { type: "boolean" } },
    async run({ connection, output, flags, args }) {
      const opened = connection();
      let dropped = 0;
      for await (const ids of chosen(opened, args, flags.on("all"))) {
        const answer = await opened.client(evaluation.EvaluationService).dropDeadLetters({ ids }, opened.call);
        dropped += answer.dropped;
      }
      output.line(`${dropped} dropped`);
    },
  },
];

function idOf(text: string): string {
  if (!/^[0-9a-f]{32}$/.test(text)) throw new UsageError(`${text} is not the id of a dead letter`);
  return text;
}

/** The ids that were typed, or all there are now: what fails and stays is not come to twice. */
async function* chosen({ client, call }: Connection, ids: readonly string[], all: boolean): AsyncGenerator<string[]> {
  if (all === ids.length > 0) throw new UsageError("give ids, or --all");
  if (!all) return yield ids.map(idOf);
  let pageToken = "";
  do {
    const page = await client(evaluation.EvaluationService).listDeadLetters({ pageSize: AT_ONCE, pageToken }, call);
    if (page.letters.length > 0) yield page.letters.map(({ id }) => id);
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
}
