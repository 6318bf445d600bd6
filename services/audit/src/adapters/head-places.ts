import { constants } from "node:fs";
import { mkdir, open } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { jetStreamObjects, type ObjectBucket } from "@weir/events";
import type { HeadPlace } from "../ports.ts";
import { headLine } from "./head-line.ts";

/** A line for each head, at the end of a file that nothing here ever shortens. Best on another disk, or one that can only be appended to. */
export const fileHeadPlace = (path: string): HeadPlace => ({
  name: `file:${path}`,
  async publish(head, keys) {
    await mkdir(dirname(path), { recursive: true });
    const file = await open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND, 0o644);
    try {
      await file.write(`${headLine(head, keys)}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
  },
});

const WEBHOOK_TIMEOUT_MS = 10_000;

/** A witness: gets each head as a POST with JSON and answers 2xx once it has kept it. Redirects are not followed. */
export const webhookHeadPlace = (url: string): HeadPlace => ({
  // Without what may be a secret in it.
  name: new URL(url).origin + new URL(url).pathname,
  async publish(head, keys) {
    const response = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: headLine(head, keys),
      redirect: "error",
      signal: AbortSignal.timeout(WEBHOOK_TIMEOUT_MS),
    });
    await response.body?.cancel();
    if (!response.ok) throw new Error(`the witness answered ${response.status}`);
  },
});

/** An object for each head, in a bucket of NATS's object store. */
export const natsHeadPlace = (bucket: Pick<ObjectBucket, "put">): HeadPlace => ({
  name: "nats",
  // Names that sort as the heads do.
  publish: (head, keys) =>
    bucket.put(`head-${String(head.size).padStart(16, "0")}.json`, new TextEncoder().encode(headLine(head, keys))),
});

export const HEAD_BUCKET = "weir-tree-heads";

/**
 * The places that a configuration names: see audit.heads_to in docs/configuration.md.
 * @throws Error for `nats` without an address of NATS
 */
export function headPlaces(
  names: readonly string[],
  dataDir: string,
  natsUrl: string | undefined,
  stack: AsyncDisposableStack,
): HeadPlace[] {
  return names.map((name) => {
    if (name.startsWith("file:")) return fileHeadPlace(resolve(dataDir, name.slice("file:".length)));
    if (name !== "nats") return webhookHeadPlace(name);
    if (natsUrl === undefined) throw new Error("audit.heads_to names nats, and there is no nats_url");
    return natsHeadPlace(stack.use(jetStreamObjects(natsUrl, HEAD_BUCKET, "Weir's signed tree heads")));
  });
}
