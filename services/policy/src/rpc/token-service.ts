import type { ServiceImpl } from "@connectrpc/connect";
import type { policy } from "@weir/contracts";
import { WeirError } from "@weir/kernel";
import type { BudgetUnit } from "../domain/key-policy.ts";
import type { KeyAndSecret } from "../flows/admin-keys.ts";
import { type AskedShortLived, type ExchangeDependencies, exchangeToken, mintKey } from "../flows/short-lived-keys.ts";
import { type Authentication, bearerOf } from "./authenticate.ts";
import { rulesIfStated, rulesToWire } from "./convert-rules.ts";
import { SCOPES } from "./convert-terms.ts";
import { scopesFromWire } from "./key-methods.ts";

/** For holders of keys and tokens: no admin right is needed here, and none helps. */
export function tokenService(
  dependencies: ExchangeDependencies,
  { byKey }: Authentication,
): ServiceImpl<typeof policy.TokenService> {
  return {
    async mintKey(request, context) {
      const secret = bearerOf(context.requestHeader);
      if (secret === undefined)
        throw new WeirError("missing_key", "Send the key to mint from as `Authorization: Bearer …`.");
      const parent = await byKey(secret);
      const asked = { ...askedTerms(request.terms), name: request.name, endUser: request.endUser };
      return { key: shortLivedToWire(await mintKey(dependencies, parent, asked)) };
    },
    async exchangeToken({ token, terms, issuerId }) {
      return { key: shortLivedToWire(await exchangeToken(dependencies, { ...askedTerms(terms), token, issuerId })) };
    },
  };
}

function askedTerms(terms: policy.ShortLivedTerms | undefined): AskedShortLived {
  const limits: [BudgetUnit, bigint | undefined][] = [
    ["nano-usd", terms?.budgetNanoUsd],
    ["tokens", terms?.budgetTokens],
    ["requests", terms?.budgetRequests],
  ];
  return {
    ttlMs: terms === undefined || terms.ttlMs === 0n ? undefined : Number(terms.ttlMs),
    scopes: scopesFromWire(terms?.scopes ?? [], "terms.scopes"),
    rules: rulesIfStated(terms?.rules),
    budgets: limits.flatMap(([unit, limit]) => (limit === undefined ? [] : [{ unit, limit: checkedLimit(limit) }])),
  };
}

function checkedLimit(limit: bigint): bigint {
  if (limit >= 0n) return limit;
  throw new WeirError("invalid_request", "A budget's limit is 0 or more.", { param: "terms" });
}

const shortLivedToWire = ({ key, secret }: KeyAndSecret) => ({
  id: key.id,
  secret,
  expiresAtMs: BigInt(key.expiresAtMs ?? 0),
  scopes: key.scopes.map(SCOPES.toWire),
  rules: rulesToWire(key.rules),
  endUser: key.endUser,
});
