import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationMs } from "@weir/config";
import { audit, policy } from "@weir/contracts";
import { dollarsOf, nanosOfDollars } from "@weir/kernel";
import { type Command, type Flags, required, UsageError, wholeNumber } from "../command.ts";
import type { Connection } from "../connection.ts";
import { enumName, type Output, table, time } from "../output.ts";
import { placeText } from "../place.ts";
import { reconcile } from "../reconcile.ts";

/** It adds up everything there is. */
const VERIFY_WITHIN_MS = 600_000;
/** A request is held a moment before its intent is recorded. */
const HELD_BEFORE_MS = 60_000;
const PAGE = 1_000;

const usd = (nanos: bigint | undefined): string => `$${dollarsOf(nanos ?? 0n)}`;

async function paged<T>(next: (pageToken: string) => Promise<{ items: T[]; nextPageToken: string }>): Promise<T[]> {
  const all: T[] = [];
  for (let pageToken = ""; ; ) {
    const page = await next(pageToken);
    all.push(...page.items);
    if (page.nextPageToken === "") return all;
    pageToken = page.nextPageToken;
  }
}

/** @param olderMs what is younger may still be under way. @throws Error where they do not agree */
async function reconcileWithLog(
  { client, call }: Connection,
  output: Output,
  sinceMs: number,
  olderMs: number,
): Promise<void> {
  const toMs = BigInt(Date.now() - olderMs);
  const fromMs = BigInt(Date.now() - sinceMs);
  const budgets = client(policy.BudgetService);
  const log = client(audit.AuditService);
  const charges = await paged(async (pageToken) => {
    const asked = { fromMs: fromMs - BigInt(HELD_BEFORE_MS), toMs, pageSize: PAGE, pageToken };
    const { charges: items, nextPageToken } = await budgets.listCharges(asked, call);
    return { items, nextPageToken };
  });
  const outcomes = await paged(async (pageToken) => {
    const asked = { kind: audit.RecordKind.OUTCOME, fromMs, pageSize: PAGE, pageToken };
    const { entries, nextPageToken } = await log.list(asked, call);
    const items = entries.flatMap(({ record }) => (record.case === "outcome" ? [record.value] : []));
    return { items, nextPageToken };
  });
  const within = outcomes.filter(({ intent }) => {
    const atMs = intent?.atMs ?? 0n;
    return atMs >= fromMs && atMs < toMs;
  });
  const { differences, requests, unresolved } = reconcile(charges, within, fromMs);
  output.line(
    table(
      ["REQUEST", "WHAT", "CHARGED", "RECORDED"],
      differences.map(({ requestId, kind, chargedNanos, recordedNanos }) => [
        requestId,
        kind,
        usd(chargedNanos),
        usd(recordedNanos),
      ]),
    ),
  );
  output.note(`${requests} requests compared with the audit log; ${unresolved} are charged at their bound`);
  if (differences.length > 0)
    throw new Error(`ledger and audit log do not agree: ${differences.length} requests differ`);
}

const chargeTable = (charges: readonly policy.Charge[]): string =>
  table(
    ["REQUEST", "ATTEMPT", "HELD AT", "OWNER", "COST", "TOKENS"],
    charges.map(({ requestId, attempt, heldAtMs, owner, charged }) => [
      requestId,
      attempt,
      time(heldAtMs),
      owner,
      usd(charged?.costNanos),
      charged?.tokens ?? 0n,
    ]),
  );

type Outcome = NonNullable<MessageInitShape<typeof policy.ResolveChargeRequestSchema>["outcome"]>;

function outcomeOf(flags: Flags): Outcome {
  const cost = flags.text("usd");
  if (flags.on("void") === (cost !== undefined))
    throw new UsageError("what was it: --usd 0.12 [--tokens N], or --void?");
  if (cost === undefined) return { case: "void", value: {} };
  const tokens = wholeNumber("--tokens", flags.text("tokens") ?? "0");
  return { case: "charge", value: { costNanos: nanosOfDollars(cost), tokens } };
}

async function resolveOne(
  { client, call }: Connection,
  output: Output,
  flags: Flags,
  requestId: string,
): Promise<void> {
  const { result } = await client(policy.BudgetService).resolveCharge(
    {
      requestId,
      attempt: Number(wholeNumber("--attempt", flags.text("attempt") ?? "1", 1n)),
      outcome: outcomeOf(flags),
      note: required(flags, "note"),
    },
    call,
  );
  if (result !== policy.SettlementResult.CREDITED)
    throw new Error("there is no unresolved charge of this request and attempt");
  output.note("resolved");
}

export const ledgerCommands: readonly Command[] = [
  {
    name: "budgets verify",
    usage: "[--audit [--since 24h] [--older-than 5m]]",
    summary: "add up the ledger anew and compare with the sums that decide; with --audit also with what was recorded",
    options: { audit: { type: "boolean" }, since: { type: "string" }, "older-than": { type: "string" } },
    async run({ connection, output, flags }) {
      const to = connection();
      const found = await to
        .client(policy.BudgetService)
        .verifyBudgets({}, { ...to.call, timeoutMs: VERIFY_WITHIN_MS });
      output.message(policy.VerifyBudgetsResponseSchema, found, ({ mismatches, periods, holds, settlements }) =>
        mismatches.length === 0
          ? `${periods} budget periods agree with ${holds} holds and ${settlements} settlements`
          : table(
              ["BUDGET", "PERIOD", "HELD", "BY ENTRIES", "SPENT", "BY ENTRIES", ""],
              mismatches.map((one) => [
                one.budgetId,
                time(one.periodStartMs),
                one.held,
                one.heldByEntries,
                one.spent,
                one.spentByEntries,
                one.detail,
              ]),
            ),
      );
      if (found.mismatches.length > 0) throw new Error(`the ledger is broken: ${found.mismatches.length} mismatches`);
      if (!flags.on("audit")) return;
      const [sinceMs, olderMs] = [flags.text("since") ?? "24h", flags.text("older-than") ?? "5m"].map(durationMs);
      await reconcileWithLog(to, output, sinceMs ?? 0, olderMs ?? 0);
    },
  },
  {
    name: "budgets resolve",
    usage: "[<request id> [--attempt N] (--usd 0.12 [--tokens N] | --void) --note WHY]",
    summary: "charges at their bound of which nobody knows how much they were; put what one really was in its place",
    words: { least: 0, most: 1 },
    options: {
      attempt: { type: "string" },
      usd: { type: "string" },
      tokens: { type: "string" },
      void: { type: "boolean" },
      note: { type: "string" },
    },
    async run({ connection, output, flags, args }) {
      const to = connection();
      if (args[0] !== undefined) return resolveOne(to, output, flags, args[0]);
      const found = await to.client(policy.BudgetService).listUnresolved({}, to.call);
      output.message(policy.ListUnresolvedResponseSchema, found, ({ charges }) => chargeTable(charges));
    },
  },
  {
    name: "budgets owners",
    usage: "",
    summary: "who holds something, the oldest first: an ingress whose disk is gone holds for ever",
    async run({ connection, output }) {
      const { client, call } = connection();
      const found = await client(policy.BudgetService).listOwners({}, call);
      output.message(policy.ListOwnersResponseSchema, found, ({ owners }) =>
        table(
          ["OWNER", "HOLDS", "OLDEST", "NEWEST", "ENDED"],
          owners.map((one) => [
            one.name,
            one.openHolds,
            time(one.oldestHoldMs),
            time(one.newestHoldMs),
            time(one.deadAtMs),
          ]),
        ),
      );
    },
  },
  {
    name: "budgets end-owner",
    usage: "<owner> --note WHY",
    summary: "an ingress and its disk are gone for good: charge what it holds at its bound",
    words: { least: 1, most: 1 },
    options: { note: { type: "string" } },
    async run({ connection, output, flags, args }) {
      const { client, call } = connection();
      const asked = { owner: args[0] ?? "", note: required(flags, "note") };
      const ended = await client(policy.BudgetService).endOwner(asked, call);
      output.message(
        policy.EndOwnerResponseSchema,
        ended,
        ({ chargedAtBound }) => `${chargedAtBound} charged at their bound`,
      );
    },
  },
  {
    name: "budgets warnings",
    usage: "[--workspace W]",
    summary: "which budgets reached 50, 80 or 100 % of their limit, the newest first",
    options: { workspace: { type: "string" } },
    async run({ connection, output, flags }) {
      const { client, call } = connection();
      const found = await client(policy.BudgetService).listWarnings({ workspace: flags.text("workspace") ?? "" }, call);
      output.message(policy.ListWarningsResponseSchema, found, ({ warnings }) =>
        table(
          ["AT", "PLACE", "PERIOD", "UNIT", "PERCENT", "WEBHOOK"],
          warnings.map((one) => [
            time(one.atMs),
            placeText(one.place),
            enumName(policy.BudgetPeriodSchema, one.period),
            enumName(policy.BudgetUnitSchema, one.unit),
            one.percent,
            one.delivery || "–",
          ]),
        ),
      );
    },
  },
];

const webhookTable = (webhooks: readonly policy.Webhook[]): string =>
  table(
    ["WORKSPACE", "URL", "SINCE", "WAITING", "LAST ERROR"],
    webhooks.map(({ workspaceId, url, createdAtMs, waiting, lastError }) => [
      workspaceId,
      url,
      time(createdAtMs),
      waiting,
      lastError || "–",
    ]),
  );

export const webhookCommands: readonly Command[] = [
  {
    name: "webhooks put",
    usage: "<url> --workspace W",
    summary:
      "tell an address when budgets of a workspace run out; shows the secret its deliveries are signed with, once",
    words: { least: 1, most: 1 },
    options: { workspace: { type: "string" } },
    async run({ connection, output, flags, args }) {
      const { client, call } = connection();
      const asked = { workspace: required(flags, "workspace"), url: args[0] ?? "" };
      const put = await client(policy.BudgetService).putWebhook(asked, call);
      output.message(policy.PutWebhookResponseSchema, put, ({ webhook, secret }) =>
        [webhookTable(webhook === undefined ? [] : [webhook]), `secret (shown once): ${secret}`].join("\n"),
      );
    },
  },
  {
    name: "webhooks list",
    usage: "[--workspace W]",
    summary: "webhooks, and what of their warnings waits to be sent",
    options: { workspace: { type: "string" } },
    async run({ connection, output, flags }) {
      const { client, call } = connection();
      const found = await client(policy.BudgetService).listWebhooks({ workspace: flags.text("workspace") ?? "" }, call);
      output.message(policy.ListWebhooksResponseSchema, found, ({ webhooks }) => webhookTable(webhooks));
    },
  },
  {
    name: "webhooks delete",
    usage: "--workspace W",
    summary: "tell nobody any more",
    options: { workspace: { type: "string" } },
    async run({ connection, output, flags }) {
      const { client, call } = connection();
      await client(policy.BudgetService).deleteWebhook({ workspace: required(flags, "workspace") }, call);
      output.note("deleted");
    },
  },
];
