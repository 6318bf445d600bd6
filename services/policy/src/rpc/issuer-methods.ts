import type { ServiceImpl } from "@connectrpc/connect";
import type { policy } from "@weir/contracts";
import * as issuers from "../flows/admin-issuers.ts";
import type { IssuerRow } from "../ports.ts";
import type { CallerOf } from "./authenticate.ts";
import { checkedId } from "./convert.ts";
import { rulesIfStated, rulesToWire } from "./convert-rules.ts";
import { SCOPES } from "./convert-terms.ts";
import { scopesFromWire } from "./key-methods.ts";

type IssuerMethods = Pick<ServiceImpl<typeof policy.PolicyAdminService>, "putIssuer" | "listIssuers" | "deleteIssuer">;

export function issuerMethods(dependencies: issuers.IssuerDependencies, callerOf: CallerOf): IssuerMethods {
  return {
    async putIssuer(request, context) {
      const row = await issuers.putIssuer(dependencies, await callerOf(context), {
        ...request,
        ttlMs: request.ttlMs === 0n ? undefined : Number(request.ttlMs),
        scopes: scopesFromWire(request.scopes),
        rules: rulesIfStated(request.rules),
      });
      return { issuer: issuerToWire(row) };
    },
    async listIssuers(request, context) {
      const rows = await issuers.listIssuers(dependencies, await callerOf(context), request.workspace);
      return { issuers: rows.map(issuerToWire) };
    },
    async deleteIssuer(request, context) {
      const caller = await callerOf(context);
      const issuerId = checkedId(request.issuerId, "issuer_id");
      await issuers.deleteIssuer(dependencies, caller, { issuerId, endRequests: request.endRequests });
      return {};
    },
  };
}

const issuerToWire = (row: IssuerRow) => ({
  ...row,
  audiences: [...row.audiences],
  algorithms: [...row.algorithms],
  requiredClaims: { ...row.requiredClaims },
  ttlMs: BigInt(row.ttlMs),
  scopes: row.scopes.map(SCOPES.toWire),
  rules: rulesToWire(row.rules),
  createdAtMs: BigInt(row.createdAtMs),
});
