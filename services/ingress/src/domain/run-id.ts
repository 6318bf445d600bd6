import { WeirError } from "@weir/kernel";

/** Which agent run a request is a step of. */
export const RUN_ID = "x-weir-run-id";

/** @throws WeirError: a run whose name were cut could be another's */
export function checkedRunId(name: string | undefined): string {
  if (name === undefined || name === "") return "";
  if (/^[\x21-\x7e]{1,128}$/.test(name)) return name;
  throw new WeirError("invalid_request", `${RUN_ID} has 1 to 128 characters without spaces.`, { param: RUN_ID });
}
