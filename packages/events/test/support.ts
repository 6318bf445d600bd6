import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { openSpool, type Spool, type SpoolOptions } from "../src/index.ts";
import { spoolOptions } from "./support-options.ts";
import { listEpochs } from "../src/epoch-directory.ts";
import { framesOf } from "../src/recovery.ts";

export { text } from "./support-options.ts";
export const NONE = new Uint8Array(0);
export const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

export function scratch(): string {
  const folder = mkdtempSync(join(tmpdir(), "weir-events-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export const open = (directory: string, more: Partial<SpoolOptions> = {}): Promise<Spool> =>
  openSpool(spoolOptions(directory, more));

/** Everything on disk, as text: "producer-less" lines of kind, number, ref and header. */
export function onDisk(directory: string, producer: string): string[] {
  const place = listEpochs(directory).find((one) => one.producer === producer);
  if (place === undefined) return [];
  return [...framesOf(place)].map(
    ({ kind, number, ref, origin, header }) =>
      `${number} ${kind}${ref === 0 ? "" : ` ->${origin === "" ? "" : `${origin}:`}${ref}`} ${textOf(header)}`,
  );
}

export async function until(what: () => boolean, message: string, ms = 15_000): Promise<void> {
  for (const end = Date.now() + ms; !what(); await new Promise((resolve) => setTimeout(resolve, 5))) {
    if (Date.now() > end) throw new Error(`not in time: ${message}`);
  }
}
