import { policy } from "@weir/contracts";
import { dollarsOf, nanosOfDollars } from "@weir/kernel";
import { choice, type Command, required, wholeNumber } from "../command.ts";
import { enumName, table, time } from "../output.ts";
import { onlyOne, PLACE_OPTIONS, PLACE_USAGE, placeOf, placeText } from "../place.ts";

const PERIODS = {
  day: policy.BudgetPeriod.DAY,
  week: policy.BudgetPeriod.WEEK,
  month: policy.BudgetPeriod.MONTH,
  total: policy.BudgetPeriod.TOTAL,
};
const UNITS = {
  usd: policy.BudgetUnit.NANO_USD,
  tokens: policy.BudgetUnit.TOKENS,
  requests: policy.BudgetUnit.REQUESTS,
};

const SUBJECTS = {
  run: policy.BudgetSubject.RUN,
  "end-user": policy.BudgetSubject.END_USER,
};

const amount = (unit: policy.BudgetUnit, value: bigint): string =>
  unit === policy.BudgetUnit.NANO_USD ? `$${dollarsOf(value)}` : String(value);

const isForAll = (per: policy.BudgetSubject): boolean => per <= policy.BudgetSubject.NONE;

const budgetTable = (budgets: readonly policy.Budget[]): string =>
  table(
    ["ID", "PLACE", "PERIOD", "UNIT", "LIMIT", "SPENT", "HELD", "LEFT", "UNTIL", ""],
    budgets.map(({ id, place, period, unit, limit, spent, held, hard, closed, per, subjects, periodEndMs }) => [
      id,
      placeText(place),
      enumName(policy.BudgetPeriodSchema, period),
      unit === policy.BudgetUnit.NANO_USD ? "usd" : enumName(policy.BudgetUnitSchema, unit),
      ...[limit, spent, held, ...(isForAll(per) ? [limit - spent - held] : [])].map((value) => amount(unit, value)),
      // Of many budgets there is no one rest.
      ...(isForAll(per) ? [] : ["–"]),
      time(periodEndMs),
      `${hard ? "hard" : "soft"}${closed ? ", closed" : ""}${isForAll(per) ? "" : `, ${subjects} ${enumName(policy.BudgetSubjectSchema, per)}s`}`,
    ]),
  );

export const budgetCommands: readonly Command[] = [
  {
    name: "budgets put",
    usage: `(${PLACE_USAGE}) --period day|week|month|total (--usd 100 | --tokens N | --requests N) [--per run|end-user] [--max-identical-calls N] [--soft]`,
    summary:
      "set a budget, or its limit, or open it again; hard unless --soft; one for all, or one for each run or end user",
    options: {
      ...PLACE_OPTIONS,
      period: { type: "string" },
      usd: { type: "string" },
      tokens: { type: "string" },
      requests: { type: "string" },
      per: { type: "string" },
      "max-identical-calls": { type: "string" },
      soft: { type: "boolean" },
    },
    async run({ connection, output, flags }) {
      const { name, text } = onlyOne(flags, ["usd", "tokens", "requests"]);
      const [per, calls] = [flags.text("per"), flags.text("max-identical-calls")];
      const { client, call } = connection();
      const put = await client(policy.PolicyAdminService).putBudget(
        {
          place: placeOf(flags),
          unit: UNITS[name],
          period: choice("--period", required(flags, "period"), PERIODS),
          limit: name === "usd" ? nanosOfDollars(text) : wholeNumber(`--${name}`, text),
          hard: !flags.on("soft"),
          per: per === undefined ? policy.BudgetSubject.NONE : choice("--per", per, SUBJECTS),
          maxIdenticalCalls: calls === undefined ? 0 : Number(wholeNumber("--max-identical-calls", calls, 1n)),
        },
        call,
      );
      output.message(policy.PutBudgetResponseSchema, put, ({ budget }) =>
        budgetTable(budget === undefined ? [] : [budget]),
      );
    },
  },
  {
    name: "budgets list",
    usage: "[--workspace W]",
    summary: "budgets and what is left of them",
    options: { workspace: { type: "string" } },
    async run({ connection, output, flags }) {
      const { client, call } = connection();
      const found = await client(policy.PolicyAdminService).listBudgets(
        { workspace: flags.text("workspace") ?? "" },
        call,
      );
      output.message(policy.ListBudgetsResponseSchema, found, ({ budgets }) => budgetTable(budgets));
    },
  },
  {
    name: "budgets delete",
    usage: "<budget id>",
    summary: "take a budget away; what is held in it still settles there",
    words: { least: 1, most: 1 },
    async run({ connection, output, args }) {
      const { client, call } = connection();
      await client(policy.PolicyAdminService).deleteBudget({ budgetId: args[0] ?? "" }, call);
      output.note("deleted");
    },
  },
];
