import { policy } from "@weir/contracts";
import { dollarsOf, nanosOfDollars } from "@weir/kernel";
import { choice, type Command, required, wholeNumber } from "../command.ts";
import { enumName, table } from "../output.ts";
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

const amount = (unit: policy.BudgetUnit, value: bigint): string =>
  unit === policy.BudgetUnit.NANO_USD ? `$${dollarsOf(value)}` : String(value);

const budgetTable = (budgets: readonly policy.Budget[]): string =>
  table(
    ["PLACE", "PERIOD", "UNIT", "LIMIT", "SPENT", "HELD", "LEFT", ""],
    budgets.map(({ place, period, unit, limit, spent, held, hard, closed }) => [
      placeText(place),
      enumName(policy.BudgetPeriodSchema, period),
      unit === policy.BudgetUnit.NANO_USD ? "usd" : enumName(policy.BudgetUnitSchema, unit),
      ...[limit, spent, held, limit - spent - held].map((value) => amount(unit, value)),
      `${hard ? "hard" : "soft"}${closed ? ", closed" : ""}`,
    ]),
  );

export const budgetCommands: readonly Command[] = [
  {
    name: "budgets put",
    usage: `(${PLACE_USAGE}) --period day|week|month|total (--usd 100 | --tokens N | --requests N) [--soft]`,
    summary: "set a budget, or its limit, or open it again; hard unless --soft",
    options: {
      ...PLACE_OPTIONS,
      period: { type: "string" },
      usd: { type: "string" },
      tokens: { type: "string" },
      requests: { type: "string" },
      soft: { type: "boolean" },
    },
    async run({ connection, output, flags }) {
      const { name, text } = onlyOne(flags, ["usd", "tokens", "requests"]);
      const { client, call } = connection();
      const put = await client(policy.PolicyAdminService).putBudget(
        {
          place: placeOf(flags),
          unit: UNITS[name],
          period: choice("--period", required(flags, "period"), PERIODS),
          limit: name === "usd" ? nanosOfDollars(text) : wholeNumber(`--${name}`, text),
          hard: !flags.on("soft"),
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
];
