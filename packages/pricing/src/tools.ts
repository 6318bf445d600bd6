/**
 * Tools that a provider runs by itself and bills by the call, beside tokens. Policy: a fee that is not known is not zero: what may call such
 * a tool has no bound, so a budget refuses it, until the operator says a price.
 */
import { type Nanos, nanos } from "@weir/kernel";

/** Calls that an answer took. The fields are those of weir.common.v1.ToolCalls. */
export interface ToolCalls {
  readonly webSearches: number;
  readonly previewSearches: number;
  readonly fileSearches: number;
  /** Containers for running code, in units of the smallest one. */
  readonly codeSessions: number;
  readonly others: number;
}

/** Nano-USD a call; undefined: unknown. The fields are those of weir.common.v1.ToolFees. */
export interface ToolFees {
  readonly webSearchNanos?: bigint | undefined;
  readonly previewSearchNanos?: bigint | undefined;
  readonly fileSearchNanos?: bigint | undefined;
  readonly codeSessionNanos?: bigint | undefined;
  readonly otherNanos?: bigint | undefined;
  /** Web searches are paid for once a request. */
  readonly searchesPerRequest: boolean;
  /** The most calls for a request that states no limit; 0: nobody knows. */
  readonly maxCalls: number;
  /** The model calls them for requests that have no tools, too. */
  readonly byItself: boolean;
}

/** What a request may have run, at most. The fields are those of weir.common.v1.ToolBound. */
export interface ToolBound {
  /** Of all the kinds below but code sessions, together; 0: the request states no limit. */
  readonly calls: number;
  readonly webSearch: boolean;
  readonly previewSearch: boolean;
  readonly fileSearch: boolean;
  readonly other: boolean;
  readonly codeSessions: number;
}

export const noFees: ToolFees = { searchesPerRequest: false, maxCalls: 0, byItself: false };

/** For models that call what they like. */
export const anyTools: ToolBound = {
  calls: 0,
  webSearch: true,
  previewSearch: false,
  fileSearch: false,
  other: true,
  codeSessions: 1,
};

const timesFee = (calls: number, fee: bigint | undefined): bigint => (calls > 0 ? BigInt(calls) * (fee ?? 0n) : 0n);

/** Preview searches cost what searches cost, where nothing else is said. */
const previewFee = (fees: ToolFees): bigint | undefined => fees.previewSearchNanos ?? fees.webSearchNanos;

const paidSearches = (calls: ToolCalls, fees: ToolFees): number =>
  fees.searchesPerRequest ? Math.min(1, calls.webSearches) : calls.webSearches;

/** What the calls cost whose fee is known. */
export function toolCost(calls: ToolCalls, fees: ToolFees | undefined): Nanos {
  if (fees === undefined) return nanos(0n);
  return nanos(
    timesFee(paidSearches(calls, fees), fees.webSearchNanos) +
      timesFee(calls.previewSearches, previewFee(fees)) +
      timesFee(calls.fileSearches, fees.fileSearchNanos) +
      timesFee(calls.codeSessions, fees.codeSessionNanos) +
      timesFee(calls.others, fees.otherNanos),
  );
}

/** Whether `toolCost` is all that was to be paid. */
export function tellsAllFees(calls: ToolCalls, fees: ToolFees = noFees): boolean {
  return (
    (calls.webSearches === 0 || fees.webSearchNanos !== undefined) &&
    (calls.previewSearches === 0 || previewFee(fees) !== undefined) &&
    (calls.fileSearches === 0 || fees.fileSearchNanos !== undefined) &&
    (calls.codeSessions === 0 || fees.codeSessionNanos !== undefined) &&
    (calls.others === 0 || fees.otherNanos !== undefined)
  );
}

/** The most that they can cost; undefined where a fee is unknown, or how many calls there can be. */
export function toolCostBound(tools: ToolBound, fees: ToolFees = noFees): Nanos | undefined {
  let total = 0n;
  if (tools.codeSessions > 0) {
    if (fees.codeSessionNanos === undefined) return undefined;
    total += BigInt(tools.codeSessions) * fees.codeSessionNanos;
  }
  let dearest = 0n;
  const kinds: readonly (readonly [present: boolean, fee: bigint | undefined])[] = [
    [tools.webSearch && !fees.searchesPerRequest, fees.webSearchNanos],
    [tools.previewSearch, previewFee(fees)],
    [tools.fileSearch, fees.fileSearchNanos],
    [tools.other, fees.otherNanos],
  ];
  for (const [present, fee] of kinds) {
    if (!present) continue;
    if (fee === undefined) return undefined;
    if (fee > dearest) dearest = fee;
  }
  if (tools.webSearch && fees.searchesPerRequest) {
    if (fees.webSearchNanos === undefined) return undefined;
    total += fees.webSearchNanos;
  }
  if (dearest === 0n) return nanos(total);
  const calls = tools.calls > 0 ? tools.calls : fees.maxCalls;
  return calls === 0 ? undefined : nanos(total + BigInt(calls) * dearest);
}
