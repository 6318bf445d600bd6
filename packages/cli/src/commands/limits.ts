import { durationMs } from "@weir/config";
import { policy } from "@weir/contracts";
import { choice, type Command, required, wholeNumber } from "../command.ts";
import { enumName, table } from "../output.ts";
import { onlyOne, PLACE_OPTIONS, PLACE_USAGE, placeOf, placeText } from "../place.ts";

const SUBJECTS = {
  key: policy.LimitSubject.KEY,
  project: policy.LimitSubject.PROJECT,
  workspace: policy.LimitSubject.WORKSPACE,
  "end-user": policy.LimitSubject.END_USER,
  "client-ip": policy.LimitSubject.CLIENT_IP,
  model: policy.LimitSubject.MODEL,
};

const limitTable = (limits: readonly policy.Limit[]): string =>
  table(
    ["PLACE", "PER", "AMOUNT", "UNIT", "WINDOW", "BURST", "WITHOUT REDIS"],
    limits.map(({ place, per, amount, unit, windowMs, burst, failClosed }) => [
      placeText(place),
      enumName(policy.LimitSubjectSchema, per),
      amount,
      enumName(policy.LimitUnitSchema, unit),
      `${Number(windowMs) / 1000}s`,
      burst,
      failClosed ? "refuses" : "goes on",
    ]),
  );

export const limitCommands: readonly Command[] = [
  {
    name: "limits put",
    usage: `(${PLACE_USAGE}) --per ${Object.keys(SUBJECTS).join("|")} (--requests N | --tokens N) --window 60s [--burst N] [--fail-closed]`,
    summary: "set a rate limit",
    options: {
      ...PLACE_OPTIONS,
      per: { type: "string" },
      requests: { type: "string" },
      tokens: { type: "string" },
      window: { type: "string" },
      burst: { type: "string" },
      "fail-closed": { type: "boolean" },
    },
    async run({ connection, output, flags }) {
      const { name, text } = onlyOne(flags, ["requests", "tokens"]);
      const burst = flags.text("burst");
      const { client, call } = connection();
      const put = await client(policy.PolicyAdminService).putLimit(
        {
          place: placeOf(flags),
          per: choice("--per", required(flags, "per"), SUBJECTS),
          unit: name === "requests" ? policy.LimitUnit.REQUESTS : policy.LimitUnit.TOKENS,
          amount: wholeNumber(`--${name}`, text, 1n),
          windowMs: BigInt(durationMs(required(flags, "window"))),
          failClosed: flags.on("fail-closed"),
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
];
