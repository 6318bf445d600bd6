import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import { policy } from "@weir/contracts";
import { WeirError } from "@weir/kernel";
import type { Begun, IdempotencyClaim } from "../domain/idempotent.ts";
import type { IdempotencyStore } from "../ports.ts";
import { checkedId } from "./convert.ts";

const HASH_BYTES = 32;
const MOST_CLAIMS = 4_096;
const MOST_ANSWER_BYTES = 4 * 1024 * 1024;

/** For ingresses. */
export function idempotencyService(
  requests: Omit<IdempotencyStore, "deleteExpired">,
): ServiceImpl<typeof policy.IdempotencyService> {
  return {
    async beginIdempotent(request) {
      const begun = await requests.begin(claimOf(request), hash(request.fingerprint, "fingerprint"));
      return create(policy.BeginIdempotentResponseSchema, { found: found(begun) });
    },

    async renewIdempotent({ claims }) {
      if (claims.length < 1 || claims.length > MOST_CLAIMS)
        throw new WeirError("invalid_request", `A batch has 1 to ${MOST_CLAIMS} items.`, { param: "claims" });
      await requests.renew(claims.map(claimOf));
      return create(policy.RenewIdempotentResponseSchema);
    },

    async finishIdempotent({ claim, answer }) {
      if (answer.length > MOST_ANSWER_BYTES)
        throw new WeirError("invalid_request", "The answer is too large.", { param: "answer" });
      const kept = await requests.finish(claimOf(claim), answer.length === 0 ? undefined : answer);
      return create(policy.FinishIdempotentResponseSchema, { kept });
    },

    async releaseIdempotent({ claim }) {
      await requests.release(claimOf(claim));
      return create(policy.ReleaseIdempotentResponseSchema);
    },
  };
}

function claimOf(claim: Pick<policy.IdempotentClaim, "keyId" | "name" | "requestId"> | undefined): IdempotencyClaim {
  if (claim === undefined) throw new WeirError("invalid_request", "There is no claim.", { param: "claim" });
  return {
    keyId: checkedId(claim.keyId, "key_id"),
    name: hash(claim.name, "name"),
    requestId: checkedId(claim.requestId, "request_id"),
  };
}

function hash(bytes: Uint8Array, param: string): Uint8Array {
  if (bytes.length === HASH_BYTES) return bytes;
  throw new WeirError("invalid_request", `A hash has ${HASH_BYTES} bytes.`, { param });
}

type Found = NonNullable<MessageInitShape<typeof policy.BeginIdempotentResponseSchema>["found"]>;

function found(begun: Begun): Found {
  switch (begun.state) {
    case "begun":
      return { case: "begun", value: { leaseMs: begun.leaseMs } };
    case "running":
      return { case: "running", value: { requestId: begun.requestId, retryAfterMs: begun.retryAfterMs } };
    case "answered":
      return { case: "answered", value: { requestId: begun.requestId, answer: begun.answer ?? NOTHING } };
    case "mismatch":
      return { case: "mismatch", value: { requestId: begun.requestId } };
  }
}
const NOTHING = new Uint8Array(0);
