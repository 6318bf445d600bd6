import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import { policy } from "@weir/contracts";
import { WeirError } from "@weir/kernel";
import { bookable } from "../domain/amounts.ts";
import type { ChargeRow, ChargeState, OwnerRow, WarningRow, WebhookRow } from "../domain/books.ts";
import type { HoldName, SettlementResult } from "../domain/ledger.ts";
import * as flows from "../flows/books.ts";
import * as webhooks from "../flows/webhooks.ts";
import type { CallerOf } from "./authenticate.ts";
import { checkedAttempt, checkedId, checkedOwner, resultToWire } from "./convert.ts";
import { BUDGET_PERIODS, BUDGET_SUBJECTS, BUDGET_UNITS, placeToWire } from "./convert-terms.ts";

export function budgetService(
  books: flows.BooksDependencies,
  warnings: webhooks.WebhookDependencies,
  callerOf: CallerOf,
): ServiceImpl<typeof policy.BudgetService> {
  return { ...theBooks(books, callerOf), ...theWarnings(warnings, callerOf) };
}

type BudgetService = ServiceImpl<typeof policy.BudgetService>;
type Part<Names extends keyof BudgetService> = Pick<BudgetService, Names>;

function theBooks(
  books: flows.BooksDependencies,
  callerOf: (context: HandlerContext) => ReturnType<CallerOf>,
): Part<"verifyBudgets" | "listCharges" | "listOwners" | "endOwner" | "listUnresolved" | "resolveCharge"> {
  return {
    async verifyBudgets(_request, context) {
      await callerOf(context);
      const { mismatches, periods, holds, settlements } = await books.books.verify();
      return {
        mismatches: mismatches.map(({ budgetId, periodStartMs, ...rest }) => ({
          ...rest,
          budgetId: budgetId === 0 ? "" : String(budgetId),
          periodStartMs: BigInt(periodStartMs),
        })),
        periods: BigInt(periods),
        holds: BigInt(holds),
        settlements: BigInt(settlements),
      };
    },
    async listCharges(request, context) {
      await callerOf(context);
      const most = request.pageSize === 0 ? DEFAULT_PAGE : request.pageSize;
      const [fromMs, toMs] = [Number(request.fromMs), Number(request.toMs)];
      const rows = await books.books.charges({ fromMs, toMs, after: positionOf(request.pageToken), most });
      return pageOf(rows, most);
    },
    async listOwners(_request, context) {
      await callerOf(context);
      return { owners: (await books.books.owners()).map(ownerToWire) };
    },
    async endOwner(request, context) {
      const caller = await callerOf(context);
      return { chargedAtBound: await flows.endOwner(books, caller, checkedOwner(request.owner), request.note) };
    },
    async listUnresolved(request, context) {
      await callerOf(context);
      const most = request.pageSize === 0 ? DEFAULT_PAGE : request.pageSize;
      return pageOf(await books.books.unresolved({ after: positionOf(request.pageToken), most }), most);
    },
    async resolveCharge(request, context) {
      const caller = await callerOf(context);
      const kind = await flows.resolveCharge(books, caller, {
        requestId: checkedId(request.requestId, "request_id"),
        attempt: checkedAttempt(request.attempt, 1),
        outcome: outcomeOf(request.outcome),
        note: request.note,
      });
      return { result: resultToWire({ kind, aboveBound: false } satisfies SettlementResult) };
    },
  };
}

function theWarnings(
  warnings: webhooks.WebhookDependencies,
  callerOf: CallerOf,
): Part<"listWarnings" | "putWebhook" | "listWebhooks" | "deleteWebhook"> {
  return {
    async listWarnings(request, context) {
      const caller = await callerOf(context);
      const most = request.pageSize === 0 ? DEFAULT_WARNINGS : request.pageSize;
      const rows = await webhooks.listWarnings(warnings, caller, request.workspace, most);
      return { warnings: rows.map(warningToWire) };
    },
    async putWebhook(request, context) {
      const caller = await callerOf(context);
      const { webhook, secret } = await webhooks.putWebhook(warnings, caller, request.workspace, request.url);
      return { webhook: webhookToWire(webhook), secret };
    },
    async listWebhooks(request, context) {
      const rows = await webhooks.listWebhooks(warnings, await callerOf(context), request.workspace);
      return { webhooks: rows.map(webhookToWire) };
    },
    async deleteWebhook(request, context) {
      await webhooks.deleteWebhook(warnings, await callerOf(context), request.workspace);
      return {};
    },
  };
}

const DEFAULT_PAGE = 1_000;
const DEFAULT_WARNINGS = 100;

function outcomeOf(outcome: policy.ResolveChargeRequest["outcome"]) {
  if (outcome.case === "charge") return bookable(outcome.value);
  if (outcome.case === "void") return "void";
  throw new WeirError("invalid_request", "A charge is resolved by amounts, or void.", { param: "outcome" });
}

/** Pages go on after the last one's name. */
function positionOf(token: string): HoldName | undefined {
  if (token === "") return undefined;
  const [requestId = "", attempt = ""] = token.split("/");
  return { requestId: checkedId(requestId, "page_token"), attempt: checkedAttempt(Number(attempt), 1) };
}

function pageOf(rows: readonly ChargeRow[], most: number) {
  const last = rows.length < most ? undefined : rows.at(-1);
  return {
    charges: rows.map(chargeToWire),
    nextPageToken: last === undefined ? "" : `${last.requestId}/${last.attempt}`,
  };
}

const STATES: Record<ChargeState, policy.ChargeState> = {
  open: policy.ChargeState.OPEN,
  charged: policy.ChargeState.CHARGED,
  void: policy.ChargeState.VOID,
  unresolved: policy.ChargeState.UNRESOLVED,
};

const chargeToWire = (row: ChargeRow) => ({
  requestId: row.requestId,
  attempt: row.attempt,
  keyId: row.keyId,
  owner: row.owner,
  heldAtMs: BigInt(row.heldAtMs),
  bound: row.bound,
  charged: row.charged,
  state: STATES[row.state],
});

const ownerToWire = (row: OwnerRow) => ({
  name: row.name,
  deadAtMs: BigInt(row.deadAtMs ?? 0),
  openHolds: BigInt(row.openHolds),
  oldestHoldMs: BigInt(row.oldestMs),
  newestHoldMs: BigInt(row.newestMs),
});

const warningToWire = (row: WarningRow) => ({
  id: row.id,
  budgetId: String(row.budgetId),
  place: placeToWire(row.place),
  unit: BUDGET_UNITS.toWire(row.unit),
  period: BUDGET_PERIODS.toWire(row.period),
  per: BUDGET_SUBJECTS.toWire(row.per),
  subject: row.subject,
  periodStartMs: BigInt(row.periodStartMs),
  percent: row.percent,
  spent: row.spent,
  limit: row.limit,
  atMs: BigInt(row.atMs),
  delivery: row.delivery,
});

const webhookToWire = (row: WebhookRow) => ({
  workspaceId: row.workspaceId,
  url: row.url,
  createdAtMs: BigInt(row.createdAtMs),
  lastError: row.lastError,
  waiting: BigInt(row.waiting),
});
