import { createHash, createHmac } from "node:crypto";
import { canonicalJson } from "../domain/canonical-json.ts";
import type { Call } from "../domain/call.ts";
import type { CacheKey } from "../ports.ts";
import type { Json } from "@weir/dialects";

/** What a client says to the cache; all other headers a provider may see. */
const TO_THE_CACHE: ReadonlySet<string> = new Set(["cache-control", "x-weir-cache"]);

/**
 * What must be equal beside the body for an answer to be another's: the workspace, what its rules allow, the dialect, and the headers that a
 * provider sees. Who asks within the workspace makes no difference.
 * @param tags of routes whose rules may look at them
 */
export function cacheContext(
  call: Call,
  dialect: string,
  kind: "whole" | "stream" | "embedding",
  tags: Readonly<Record<string, string>> | undefined,
): string {
  const sorted = (list: readonly string[]): string[] => list.toSorted((a, b) => (a < b ? -1 : 1));
  return JSON.stringify([
    kind,
    call.workspace,
    call.model,
    dialect,
    sorted(call.allowedProviders),
    sorted(call.deniedProviders),
    sorted(call.allowedRegions),
    sorted(call.deniedRegions),
    call.outputCap,
    call.toolCallCap,
    sorted(call.headers.filter(({ name }) => !TO_THE_CACHE.has(name)).map(({ name, value }) => `${name}: ${value}`)),
    tags === undefined ? null : sorted(Object.entries(tags).map((tag) => JSON.stringify(tag))),
  ]);
}

/**
 * The name and the secret come from the same text in two ways: what is kept under the name can only be read by who sends the same request
 * again, so a store of answers is no store of texts.
 * @param likeness how questions in other words are compared whose answers it may get, too; "": it gets none
 */
export function cacheKeyOf(context: string, body: Json, likeness: string): CacheKey {
  const text = `${context}\n${JSON.stringify(likeness)}\n${canonicalJson(body)}`;
  const digest = createHash("sha256").update(text).digest();
  const derived = (use: string): Buffer => createHmac("sha256", digest).update(use).digest();
  return { name: derived("weir cache name 1").toString("base64url"), secret: derived("weir cache secret 1") };
}
