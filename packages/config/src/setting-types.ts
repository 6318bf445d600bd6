import { isTimeZone } from "@weir/kernel";
import { z } from "zod";
import { durationMs, shareOf, sizeBytes } from "./units.ts";

/** A setting written as a text with a unit. */
export function measured<T>(read: (text: string | number) => T) {
  return z.union([z.string(), z.number()]).transform((value, context): T => {
    try {
      return read(value);
    } catch (error) {
      context.addIssue({ code: "custom", message: error instanceof Error ? error.message : "is not valid" });
      return z.NEVER;
    }
  });
}

export const duration = (leastMs = 1) =>
  measured(durationMs).refine((ms) => ms >= leastMs, `is shorter than ${leastMs} ms`);
/** A duration of at least a minute, or "forever", which is 0. */
export const keptTime = z.union([z.literal("forever").transform(() => 0), duration(60_000)]);
export const size = (least: number) =>
  measured(sizeBytes).refine((bytes) => bytes >= least, `is less than ${least} bytes`);
export const share = measured(shareOf);
export const count = z.number().int().min(1).max(Number.MAX_SAFE_INTEGER);
export const tokens = z.number().int().min(1).max(4_294_967_295);

export const name = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,62}$/, "is not a name: up to 63 of a-z, 0-9, dot, underscore and dash");
/** Clients write model names; they may look like "org/model:tag@date". */
export const modelName = z
  .string()
  .regex(/^[^\s\p{C}]{1,256}$/u, "is not a model name: 1 to 256 characters without spaces");

export const timeZone = z.string().refine(isTimeZone, "is not a time zone like Europe/Berlin");
