import { readFile } from "node:fs/promises";
import { audit, router } from "@weir/contracts";
import { dollarsOf } from "@weir/kernel";
import { planOf, type Price, priceAt } from "@weir/pricing";
import { type Command, type Flags, required, UsageError } from "../command.ts";
import { instant } from "../instant.ts";
import { table, time } from "../output.ts";
import { bookNamed, booksOfProviders, recorded, reprice, sheetNamed, sheetOfBook, usedModels } from "../price-sheet.ts";
import { driftBasisPoints, driftOf, readBill } from "../provider-bill.ts";

const RATES = [
  ["input", "inputNanosPerMtok"],
  ["output", "outputNanosPerMtok"],
  ["cached input", "cachedInputNanosPerMtok"],
  ["cache write", "cacheWriteNanosPerMtok"],
  ["cache write for an hour", "cacheWriteLongNanosPerMtok"],
  ["audio input", "audioInputNanosPerMtok"],
  ["audio output", "audioOutputNanosPerMtok"],
  ["image input", "imageInputNanosPerMtok"],
  ["image output", "imageOutputNanosPerMtok"],
  ["reasoning", "reasoningNanosPerMtok"],
] as const;

const FEES = [
  ["web search", "webSearchNanos"],
  ["preview search", "previewSearchNanos"],
  ["file search", "fileSearchNanos"],
  ["code session", "codeSessionNanos"],
  ["other tool call", "otherNanos"],
] as const;

type Line = readonly [what: string, dollars: string];

/** What a price says, a line each; rates that are as another one's are left out. */
function linesOf(price: Price): Line[] {
  const lines: Line[] = [];
  const rates = (of: Omit<Price, "requestNanos" | "version" | "tiers">, suffix: string): void => {
    for (const [what, name] of RATES) {
      const rate = of[name] ?? 0n;
      const usual = what.includes("output") || what === "reasoning" ? of.outputNanosPerMtok : of.inputNanosPerMtok;
      const plain = what === "input" || what === "output";
      if (plain || (rate !== 0n && rate !== usual)) lines.push([`${what}${suffix}, a million`, `$${dollarsOf(rate)}`]);
    }
  };
  rates(price, "");
  for (const tier of price.tiers) rates(tier, ` above ${tier.aboveInputTokens} tokens of input`);
  if (price.requestNanos > 0n) lines.push(["request", `$${dollarsOf(price.requestNanos)}`]);
  for (const [what, name] of FEES) {
    const fee = price.tools?.[name];
    if (fee !== undefined) lines.push([what, `$${dollarsOf(fee)}`]);
  }
  if (price.batchPercent) lines.push(["at the rates of batches", `${price.batchPercent} %`]);
  return lines;
}

function shown({ candidates }: router.ExplainRouteResponse): string {
  const rows = candidates.flatMap(({ candidate }) => {
    if (candidate === undefined) return [];
    const { provider, model, price } = candidate;
    const dated = candidate.prices.length > 0 ? candidate.prices : [{ workspace: "", fromMs: 0n, toMs: 0n, price }];
    return dated.flatMap((one) => {
      const head = [`${provider}/${model}`, one.workspace || "everybody", time(one.fromMs), time(one.toMs)];
      if (one.price === undefined) return [[...head, "unknown", "", ""]];
      const { version } = one.price;
      return linesOf(one.price).map(([what, dollars], index) => [
        ...(index === 0 ? head : ["", "", "", ""]),
        what,
        dollars,
        index === 0 ? version : "",
      ]);
    });
  });
  return table(["MODEL", "FOR", "FROM (UTC)", "TO", "WHAT", "PRICE", "VERSION"], rows);
}

const range = (flags: Flags, since: string) => ({
  fromMs: instant("since", flags.text("since") ?? since),
  toMs: instant("until", flags.text("until")),
  workspaceId: flags.text("workspace-id") ?? "",
});
const RANGE = { since: { type: "string" }, until: { type: "string" }, "workspace-id": { type: "string" } } as const;

const difference = (before: bigint, after: bigint): string => {
  const change = after - before;
  return `${change < 0n ? "-" : "+"}$${dollarsOf(change < 0n ? 0n - change : change)}`;
};

function groupTable({ groups }: audit.Repricing): string {
  return table(
    ["WORKSPACE ID", "NAME", "MODEL", "CALLS", "UNPRICED", "RECORDED", "REPRICED", "DIFFERENCE"],
    groups.map((of) => [
      of.workspaceId,
      of.name,
      `${of.provider}/${of.model}`,
      of.calls,
      of.unpriced,
      `$${dollarsOf(of.recordedNanos)}`,
      `$${dollarsOf(of.repricedNanos)}`,
      difference(of.recordedNanos, of.repricedNanos),
    ]),
  );
}

function totalLine(of: audit.Repricing): string {
  const kept = of.id === "" ? "nothing was stored" : `stored as ${of.id}`;
  const change = difference(of.recordedNanos, of.repricedNanos);
  const unpriced = of.unpriced === 0n ? "" : `; ${of.unpriced} calls have no price there and are in neither sum`;
  return `$${dollarsOf(of.recordedNanos)} recorded, $${dollarsOf(of.repricedNanos)} by ${of.version} (${change})${unpriced}; ${kept}`;
}

/** What differs between two prices, a line each. */
function changes(before: Price | undefined, after: Price | undefined): [what: string, from: string, to: string][] {
  const old = new Map(before === undefined ? [] : linesOf(before));
  const next = new Map(after === undefined ? [] : linesOf(after));
  return [...new Set([...old.keys(), ...next.keys()])].flatMap((what) => {
    const from = old.get(what) ?? "–";
    const to = next.get(what) ?? "–";
    return from === to ? [] : [[what, from, to] as [string, string, string]];
  });
}

export const priceCommands: readonly Command[] = [
  {
    name: "prices show",
    usage: "<model>",
    summary: "what a model costs whom and when, and which version of which price that is",
    words: { least: 1, most: 1 },
    async run({ connection, output, args }) {
      const { client, call } = connection();
      const found = await client(router.RouterService).explainRoute({ model: args[0] ?? "" }, call);
      output.message(router.ExplainRouteResponseSchema, found, shown);
    },
  },
  {
    name: "prices diff",
    usage: "--to bundled|FILE [--from bundled|FILE] [--since 30d] [--until T] [--workspace-id ID]",
    summary: "what another edition of the price book changes for the models in use, and what it would have cost",
    options: { from: { type: "string" }, to: { type: "string" }, ...RANGE },
    async run({ connection, output, flags }) {
      const [from, to] = [await bookNamed(flags.text("from") ?? "bundled"), await bookNamed(required(flags, "to"))];
      const connected = connection();
      const options = { ...range(flags, "30d"), dryRun: true };
      const used = usedModels(await recorded(connected, options));
      const books = await booksOfProviders(connected);
      const nowMs = Date.now();
      const rows = [...new Map(used.map((one) => [`${one.provider}/${one.model}`, one])).values()].flatMap(
        ({ provider, model }) => {
          const [old, next] = [from, to].map((book) =>
            priceAt(planOf(provider, model, book.schedule(books.get(provider) ?? "", model), []), "", nowMs),
          );
          return changes(old, next).map((change, index) => [index === 0 ? `${provider}/${model}` : "", ...change]);
        },
      );
      output.note(table(["MODEL", "WHAT", from.version, to.version], rows));
      const before = await reprice(connected, await sheetOfBook(connected, from, used), options);
      const after = await reprice(connected, await sheetOfBook(connected, to, used), options);
      output.message(audit.RepricingSchema, after, () => {
        const effect = difference(before.repricedNanos, after.repricedNanos);
        return `calls in this time: $${dollarsOf(before.repricedNanos)} by ${from.version}, $${dollarsOf(after.repricedNanos)} by ${to.version} (${effect})`;
      });
    },
  },
  {
    name: "prices reprice",
    usage: "--since 30d [--until T] [--prices live|bundled|FILE] [--workspace-id ID] [--by-day] [--dry-run]",
    summary: "what recorded usage costs by other prices; stored beside the log, which never changes",
    options: { prices: { type: "string" }, "dry-run": { type: "boolean" }, "by-day": { type: "boolean" }, ...RANGE },
    async run({ connection, output, flags }) {
      required(flags, "since");
      const connected = connection();
      const of = range(flags, "");
      const used = usedModels(await recorded(connected, of));
      const sheet = await sheetNamed(connected, flags.text("prices") ?? "live", used);
      const options = { ...of, dryRun: flags.on("dry-run"), byDay: flags.on("by-day") };
      const done = await reprice(connected, sheet, options);
      output.message(audit.RepricingSchema, done, (result) => `${groupTable(result)}\n\n${totalLine(result)}`);
    },
  },
  {
    name: "prices repricings",
    usage: "[ID]",
    summary: "results of earlier repricings, or one of them whole",
    words: { least: 0, most: 1 },
    async run({ connection, output, args }) {
      const { client, call } = connection();
      const [id] = args;
      if (id !== undefined) {
        const found = await client(audit.CostService).getRepricing({ id }, call);
        return output.message(audit.GetRepricingResponseSchema, found, ({ repricing }) =>
          repricing === undefined ? "(none)" : `${groupTable(repricing)}\n\n${totalLine(repricing)}`,
        );
      }
      const found = await client(audit.CostService).listRepricings({}, call);
      output.message(audit.ListRepricingsResponseSchema, found, ({ repricings }) =>
        table(
          ["ID", "AT (UTC)", "PRICES", "FROM", "TO", "RECORDED", "REPRICED"],
          repricings.map((of) => [
            of.id,
            time(of.atMs),
            of.version,
            time(of.fromMs),
            time(of.toMs),
            `$${dollarsOf(of.recordedNanos)}`,
            `$${dollarsOf(of.repricedNanos)}`,
          ]),
        ),
      );
    },
  },
  {
    name: "prices reconcile",
    usage: "--provider P --file costs.json|costs.csv [--tolerance 1]",
    summary:
      "a provider's bill beside the log, by day and model; exit code 1 where they differ by more than a percentage",
    options: { provider: { type: "string" }, file: { type: "string" }, tolerance: { type: "string" } },
    async run({ connection, output, flags }) {
      const provider = required(flags, "provider");
      const tolerance = Number(flags.text("tolerance") ?? "1");
      if (!(tolerance >= 0)) throw new UsageError("--tolerance is a percentage");
      const bill = readBill(await readFile(required(flags, "file"), "utf8"));
      const days = bill.map(({ day }) => day).sort();
      const fromMs = BigInt(Date.parse(days[0] ?? ""));
      const toMs = BigInt(Date.parse(days.at(-1) ?? "") + 86_400_000);
      const { groups } = await recorded(connection(), { fromMs, toMs, workspaceId: "", byDay: true });
      const log = groups
        .filter((group) => group.provider === provider)
        .map(({ day, model, totalNanos }) => ({ day, model, nanos: totalNanos }));
      const drifts = driftOf(bill, log);
      const total = drifts.reduce(
        (sum, one) => ({ billNanos: sum.billNanos + one.billNanos, logNanos: sum.logNanos + one.logNanos }),
        { billNanos: 0n, logNanos: 0n },
      );
      const percent = (one: { billNanos: bigint; logNanos: bigint }): string =>
        `${Number(driftBasisPoints(one.billNanos, one.logNanos)) / 100} %`;
      output.line(
        table(
          ["DAY", "MODEL", "BILL", "LOG", "DRIFT"],
          [...drifts, { day: "all", model: "", ...total }].map((one) => [
            one.day,
            one.model,
            `$${dollarsOf(one.billNanos)}`,
            `$${dollarsOf(one.logNanos)}`,
            percent(one),
          ]),
        ),
      );
      if (Math.abs(Number(driftBasisPoints(total.billNanos, total.logNanos))) > tolerance * 100)
        throw new Error(`the log differs from the bill by ${percent(total)}`);
    },
  },
];
