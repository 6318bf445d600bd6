/**
 * What the price book does not say about providers' tools, read from their price lists. Where a tool is billed by time, or at several
 * prices that a request does not tell apart, the dearest counts.
 */
import type { ToolFees } from "./tools.ts";
import { noFees } from "./tools.ts";

/** Goes up with every change of the tables below: it is part of each price's version. */
export const FEES_EDITION = "fees.1";

/** Nano-USD a call, from dollars per thousand calls. */
const perThousand = (dollars: number): bigint => BigInt(Math.round(dollars * 1_000_000));

/** What the book itself says, in nano-USD a call. */
export interface PublishedFees {
  readonly webSearchNanos: bigint | undefined;
  readonly fileSearchNanos: bigint | undefined;
}

/** @param book the price book's name of the provider */
export function toolFeesOf(book: string, model: string, published: PublishedFees): ToolFees {
  const { webSearchNanos, fileSearchNanos } = published;
  const own: ToolFees = { ...noFees, webSearchNanos, fileSearchNanos };
  switch (book) {
    case "openai":
      return openAiFees(model, own);
    case "anthropic":
      return anthropicFees(own);
    case "google":
      return googleFees(model, own);
    case "groq":
      return groqFees(model, own);
    default:
      return own;
  }
}

/**
 * https://platform.openai.com/docs/pricing#built-in-tools: web search $10 per thousand calls; its preview $25 with models that do not reason;
 * with gpt-4o-mini and gpt-4.1-mini a search is also billed as 8,000 tokens of input. File search $2.50. A container $0.03 per GB of
 * its memory, of which the smallest has one.
 */
function openAiFees(model: string, own: ToolFees): ToolFees {
  const doesNotReason = /^(?:gpt-4o|gpt-4\.1|chatgpt-4o)/.test(model);
  const block = model.startsWith("gpt-4o-mini") ? 1_200_000n : model.startsWith("gpt-4.1-mini") ? 3_200_000n : 0n;
  const search = own.webSearchNanos ?? perThousand(10);
  return {
    ...own,
    webSearchNanos: search + block,
    // Those that search for every request are paid for by the request.
    previewSearchNanos: requestFeeOf("openai", model) > 0n ? 0n : doesNotReason ? perThousand(25) : search,
    fileSearchNanos: own.fileSearchNanos ?? perThousand(2.5),
    codeSessionNanos: 30_000_000n,
  };
}

/** Models of OpenAI's chat completions that search for every request, and are paid for each. */
export function requestFeeOf(book: string, model: string): bigint {
  if (book !== "openai") return 0n;
  if (/^gpt-4o(?:-mini)?-search-preview/.test(model)) return perThousand(25);
  return /^gpt-\d[\d.]*-search-api/.test(model) ? perThousand(10) : 0n;
}

/**
 * https://docs.anthropic.com/en/docs/about-claude/pricing: web search $10 per thousand; fetching is free; code is run at $0.05 an hour,
 * of which a quarter is what an answer may take. The hours that are free each month are not known here.
 */
const anthropicFees = (own: ToolFees): ToolFees => ({
  ...own,
  webSearchNanos: own.webSearchNanos ?? perThousand(10),
  codeSessionNanos: 12_500_000n,
});

/**
 * https://ai.google.dev/gemini-api/docs/pricing: grounding by Google Search costs $14 per thousand queries from Gemini 3 on, and $35 per
 * thousand requests before it; by Google Maps $14 and $25 per thousand. Running code and reading URLs cost tokens only.
 */
function googleFees(model: string, own: ToolFees): ToolFees {
  const older = /^gemini-(?:[12]\b|flash-latest$|pro-latest$)/.test(model);
  return {
    ...own,
    webSearchNanos: older ? perThousand(35) : perThousand(14),
    searchesPerRequest: older,
    codeSessionNanos: 0n,
    otherNanos: perThousand(25),
  };
}

/**
 * https://groq.com/pricing: searches $5 (basic) to $8 (advanced) per thousand, a visit of a page $1; code $0.18 and a browser $0.08 an hour,
 * of which a quarter is taken. A compound system makes up to ten calls for a request, its small one a single one.
 */
const groqFees = (model: string, own: ToolFees): ToolFees => ({
  ...own,
  webSearchNanos: perThousand(8),
  codeSessionNanos: 45_000_000n,
  otherNanos: 20_000_000n,
  maxCalls: model.includes("compound-mini") ? 1 : model.includes("compound") ? 10 : 0,
  byItself: model.includes("compound"),
});
