import { createHash, createHmac } from "node:crypto";
import { canonicalJson } from "../domain/canonical-json.ts";
import type { Call } from "../domain/call.ts";
import type { CacheKey } from "../ports.ts";
import type { Json } from "@weir/dialects";

/**
 * What must be equal for an answer to be another's: the workspace, what its rules allow, everything of the body, the dialect, and the headers
 * that a provider sees. Who asks within the workspace makes no difference. The name and the secret come from the same text in two ways:
 * what is kept under the name can only be read by who sends the same request again, so a store of answers is no store of texts.
 * @param tags of routes whose rules may look at them
 */
export function cacheKeyOf(
  call: Call,
  input: { readonly dialect: string; readonly body: Uint8Array },
  kind: "whole" | "stream" | "embedding",
  tags: Readonly<Record<string, string>> | undefined,
): CacheKey | undefined {
  let body: string;
  try {
    body = canonicalJson(JSON.parse(Buffer.from(input.body).toString("utf8")) as Json);
  } catch {
    return undefined; // refused by whoever reads it for a provider
  }
  const sorted = (list: readonly string[]): string[] => list.toSorted((a, b) => (a < b ? -1 : 1));
  const context = JSON.stringify([
    kind,
    call.workspace,
    call.model,
    input.dialect,
    sorted(call.allowedProviders),
    sorted(call.deniedProviders),
    sorted(call.allowedRegions),
    sorted(call.deniedRegions),
    call.outputCap,
    call.toolCallCap,
    sorted(call.headers.filter(({ name }) => name !== "cache-control").map(({ name, value }) => `${name}: ${value}`)),
    tags === undefined ? null : sorted(Object.entries(tags).map((tag) => JSON.stringify(tag))),
  ]);
  const digest = createHash("sha256").update(context).update("\n").update(body).digest();
  const derived = (use: string): Buffer => createHmac("sha256", digest).update(use).digest();
  return { name: derived("weir cache name 1").toString("base64url"), secret: derived("weir cache secret 1") };
}
