import type { ServiceImpl } from "@connectrpc/connect";
import type { policy } from "@weir/contracts";
import * as keys from "../flows/admin-keys.ts";
import type { CallerOf } from "./authenticate.ts";
import { checkedId } from "./convert.ts";
import { rulesIfStated } from "./convert-rules.ts";
import { keyToWire, SCOPES } from "./convert-terms.ts";

type KeyMethods = Pick<
  ServiceImpl<typeof policy.PolicyAdminService>,
  "createKey" | "listKeys" | "getKey" | "updateKey" | "rotateKey" | "revokeKey"
>;

export const scopesFromWire = (scopes: readonly policy.Scope[], param = "scopes") =>
  scopes.map((scope) => SCOPES.fromWire(scope, param));

export function keyMethods(dependencies: keys.KeyDependencies, callerOf: CallerOf): KeyMethods {
  return {
    async createKey(request, context) {
      const caller = await callerOf(context);
      const { key, secret } = await keys.createKey(dependencies, caller, {
        workspace: request.workspace,
        project: request.project,
        name: request.name,
        expiresAtMs: request.expiresAtMs === 0n ? undefined : Number(request.expiresAtMs),
        scopes: scopesFromWire(request.scopes),
        rules: rulesIfStated(request.rules),
      });
      return { key: keyToWire(key), secret };
    },
    async listKeys(request, context) {
      const rows = await keys.listKeys(dependencies, await callerOf(context), request);
      return { keys: rows.map(keyToWire) };
    },
    async getKey(request, context) {
      const row = await keys.getKey(dependencies, await callerOf(context), request.keyId);
      return { key: keyToWire(row) };
    },
    async updateKey(request, context) {
      const caller = await callerOf(context);
      const { expiresAtMs } = request;
      const row = await keys.updateKey(dependencies, caller, {
        keyId: checkedId(request.keyId, "key_id"),
        name: request.name,
        expiresAtMs: expiresAtMs === undefined ? undefined : expiresAtMs === 0n ? "never" : Number(expiresAtMs),
        scopes: scopesFromWire(request.scopes),
        rules: rulesIfStated(request.rules),
      });
      return { key: keyToWire(row) };
    },
    async rotateKey(request, context) {
      const caller = await callerOf(context);
      const asked = { keyId: checkedId(request.keyId, "key_id"), overlapMs: Number(request.overlapMs) };
      const { key, secret } = await keys.rotateKey(dependencies, caller, asked);
      return { key: keyToWire(key), secret };
    },
    async revokeKey(request, context) {
      const row = await keys.revokeKey(dependencies, await callerOf(context), request);
      return { key: keyToWire(row) };
    },
  };
}
