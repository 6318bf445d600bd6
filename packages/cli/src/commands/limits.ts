import { durationMs } from "@weir/config";
import { policy } from "@weir/contracts";
import { choice, type Command, type Flags, required, UsageError, wholeNumber } from "../command.ts";
import { enumName, table } from "../output.ts";
import { onlyOne, PLACE_OPTIONS, PLACE_USAGE, placeOf, placeText } from "../place.ts";

const SUBJECTS = {
  key: policy.LimitSubject.KEY,
  project: policy.LimitSubject.PROJECT,
  workspace: policy.LimitSubject.WORKSPACE,
  "end-user": policy.LimitSubject.END_USER,
  "client-ip": policy.LimitSubject.CLIENT_IP,
  model: policy.LimitSubject.MODEL,
  provider: policy.LimitSubject.PROVIDER,
};

const UNITS = {
  requests: policy.LimitUnit.REQUESTS,
  tokens: policy.LimitUnit.TOKENS,
  "input-tokens": policy.LimitUnit.INPUT_TOKENS,
  "output-tokens": policy.LimitUnit.OUTPUT_TOKENS,
  concurrency: policy.LimitUnit.CONCURRENCY,
};
const UNIT_NAMES = Object.keys(UNITS) as (keyof typeof UNITS)[];
const UNIT_USAGE = UNIT_NAMES.map((name) => `--${name} N`).join(" | ");
const QUEUE_USAGE = "[--queue 20s [--queue-length N] [--weight WORKSPACE=N …]]";
const DEFAULT_QUEUE_LENGTH = 100n;

const limitTable = (limits: readonly policy.Limit[]): string =>
  table(
    ["ID", "PLACE", "PER", "AMOUNT", "UNIT", "WINDOW", "BURST", "QUEUE", "WITHOUT REDIS"],
    limits.map(({ id, place, per, only, amount, unit, windowMs, burst, queue, failClosed }) => [
      id,
      placeText(place),
      `${enumName(policy.LimitSubjectSchema, per)}${only === "" ? "" : ` ${only}`}`,
      amount,
      enumName(policy.LimitUnitSchema, unit),
      windowMs === 0n ? "" : `${Number(windowMs) / 1000}s`,
      burst,
      queue === undefined ? "" : queueText(queue),
      failClosed ? "refuses" : "goes on",
    ]),
  );

function queueText({ maxWaitMs, maxLength, weights }: policy.Queue): string {
  const shares = Object.entries(weights).map(([workspace, weight]) => ` ${workspace}=${weight}`);
  return `${maxLength} for ${maxWaitMs / 1000}s${shares.join("")}`;
}

/** What runs at a time has none; the service says so to who names one. */
const windowOf = (flags: Flags, isConcurrency: boolean): bigint =>
  isConcurrency && flags.text("window") === undefined ? 0n : BigInt(durationMs(required(flags, "window")));

function queueOf(flags: Flags) {
  const wait = flags.text("queue");
  const weights = flags.list("weight");
  const length = flags.text("queue-length");
  if (wait === undefined) {
    if (weights.length > 0 || length !== undefined) throw new UsageError("--queue-length and --weight go with --queue");
    return {};
  }
  const maxLength = length === undefined ? DEFAULT_QUEUE_LENGTH : wholeNumber("--queue-length", length, 1n);
  return {
    queue: {
      maxWaitMs: durationMs(wait),
      maxLength: Number(maxLength),
      weights: Object.fromEntries(weights.map(weightOf)),
    },
  };
}

function weightOf(text: string): [workspace: string, weight: number] {
  const [, workspace, weight] = /^(.+)=(\d+)$/.exec(text) ?? [];
  if (workspace === undefined || weight === undefined) throw new UsageError("--weight is written workspace=number");
  return [workspace, Number(wholeNumber("--weight", weight, 1n))];
}

export const limitCommands: readonly Command[] = [
  {
    name: "limits put",
    usage: `(${PLACE_USAGE}) --per ${Object.keys(SUBJECTS).join("|")} [--only NAME] (${UNIT_USAGE}) [--window 60s] [--burst N] [--fail-closed] ${QUEUE_USAGE}`,
    summary: "set a rate limit",
    options: {
      ...PLACE_OPTIONS,
      per: { type: "string" },
      only: { type: "string" },
      requests: { type: "string" },
      tokens: { type: "string" },
      "input-tokens": { type: "string" },
      "output-tokens": { type: "string" },
      concurrency: { type: "string" },
      window: { type: "string" },
      burst: { type: "string" },
      queue: { type: "string" },
      "queue-length": { type: "string" },
      weight: { type: "string", multiple: true },
      "fail-closed": { type: "boolean" },
    },
    async run({ connection, output, flags }) {
      const { name, text } = onlyOne(flags, UNIT_NAMES);
      const burst = flags.text("burst");
      const { client, call } = connection();
      const put = await client(policy.PolicyAdminService).putLimit(
        {
          place: placeOf(flags),
          per: choice("--per", required(flags, "per"), SUBJECTS),
          only: flags.text("only") ?? "",
          unit: UNITS[name],
          amount: wholeNumber(`--${name}`, text, 1n),
          windowMs: windowOf(flags, name === "concurrency"),
          failClosed: flags.on("fail-closed"),
          ...queueOf(flags),
          ...(burst === undefined ? {} : { burst: wholeNumber("--burst", burst) }),
        },
        call,
      );
      output.message(policy.PutLimitResponseSchema, put, ({ limit }) => limitTable(limit === undefined ? [] : [limit]));
    },
  },
  {
    name: "limits list",
    usage: "[--workspace W]",
    summary: "rate limits",
    options: { workspace: { type: "string" } },
    async run({ connection, output, flags }) {
      const { client, call } = connection();
      const found = await client(policy.PolicyAdminService).listLimits(
        { workspace: flags.text("workspace") ?? "" },
        call,
      );
      output.message(policy.ListLimitsResponseSchema, found, ({ limits }) => limitTable(limits));
    },
  },
  {
    name: "limits delete",
    usage: "<limit id>",
    summary: "take a rate limit away",
    words: { least: 1, most: 1 },
    async run({ connection, output, args }) {
      const { client, call } = connection();
      await client(policy.PolicyAdminService).deleteLimit({ limitId: args[0] ?? "" }, call);
      output.note("deleted");
    },
  },
];
