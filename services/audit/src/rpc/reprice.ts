import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import { audit } from "@weir/contracts";
import { WeirError } from "@weir/kernel";
import type { SheetPrice } from "../domain/repricing.ts";
import { reprice, type RepriceDependencies, type RepricingFacts } from "../flows/reprice.ts";

type Cost = ServiceImpl<typeof audit.CostService>;

export interface CostHandling {
  readonly repricing: RepriceDependencies;
  readonly requireAdmin: (headers: Headers) => void;
}

export const repriceRpc = ({ repricing, requireAdmin }: CostHandling): Cost["reprice"] =>
  async function* (request, context) {
    requireAdmin(context.requestHeader);
    const { sheet } = request;
    if (sheet === undefined) throw new WeirError("invalid_request", "There are no prices.", { param: "sheet" });
    const asked = {
      workspaceId: request.workspaceId,
      fromMs: Number(request.fromMs),
      toMs: Number(request.toMs),
      version: sheet.version,
      prices: sheet.prices.map(priceOf),
      byDay: request.byDay,
      dryRun: request.dryRun,
    };
    const encode = {
      sheet: () => toBinary(audit.PriceSheetSchema, sheet),
      result: (result: RepricingFacts) => toBinary(audit.RepricingSchema, repricingMessage(result)),
    };
    for await (const step of reprice(repricing, asked, encode)) {
      if (context.signal.aborted) return;
      yield create(audit.RepriceResponseSchema, {
        message:
          step.kind === "done"
            ? { case: "done", value: repricingMessage(step.result) }
            : { case: "records", value: step.records },
      });
    }
  };

/** A price has the message's fields: it is used as it came. */
const priceOf = ({ provider, model, name, workspaceId, fromMs, toMs, price }: audit.SheetPrice): SheetPrice => ({
  provider,
  model,
  name,
  workspaceId,
  fromMs: Number(fromMs),
  toMs: Number(toMs),
  price,
});

const repricingMessage = ({ groups, ...result }: RepricingFacts): audit.Repricing =>
  create(audit.RepricingSchema, {
    ...result,
    atMs: BigInt(result.atMs),
    fromMs: BigInt(result.fromMs),
    toMs: BigInt(result.toMs),
    groups: groups.map((group) => ({ ...group, recordedVersions: [...group.recordedVersions] })),
  });

const MOST_LISTED = 100;

export const listRepricings =
  ({ repricing, requireAdmin }: CostHandling): Cost["listRepricings"] =>
  async (_request, context) => {
    requireAdmin(context.requestHeader);
    const stored = await repricing.store.list(MOST_LISTED);
    return {
      repricings: stored.map(({ result }) => ({ ...fromBinary(audit.RepricingSchema, result), groups: [] })),
    };
  };

export const getRepricing =
  ({ repricing, requireAdmin }: CostHandling): Cost["getRepricing"] =>
  async ({ id }, context) => {
    requireAdmin(context.requestHeader);
    const found = await repricing.store.find(id);
    if (found === undefined) throw new WeirError("not_found", `There is no repricing ${id}.`, { param: "id" });
    return { repricing: fromBinary(audit.RepricingSchema, found) };
  };
