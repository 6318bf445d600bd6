import type { ChatRequest, Part, Usage } from "@weir/dialects";
import { type Nanos, nanos } from "@weir/kernel";
import { costOf } from "@weir/pricing";
import type { RoutedTarget, TokenCounter } from "../ports.ts";

/**
 * Counts what a provider did not: the request's text, and the answer's where it is at hand, else a quarter of its characters.
 * @param outputLimit the most output tokens there can be
 */
export async function estimateUsage(
  tokens: TokenCounter,
  target: RoutedTarget,
  input: string,
  output: string | number,
  outputLimit: number,
): Promise<Usage> {
  const inputTokens = await tokens.count(target, input);
  const counted = typeof output === "number" ? Math.ceil(output / 4) : await tokens.count(target, output);
  const outputTokens = Math.min(counted, outputLimit);
  return { inputTokens, outputTokens, cachedInputTokens: 0, cacheWriteTokens: 0, reasoningTokens: 0, estimated: true };
}

/** What was told, with at least the output that was counted. */
export const raisedTo = (told: Usage, counted: Usage): Usage =>
  counted.outputTokens <= told.outputTokens ? told : { ...told, outputTokens: counted.outputTokens, estimated: true };

/** Zero where the price is unknown: then the result names no price version. */
export const costIn = (target: RoutedTarget, usage: Usage | undefined): Nanos =>
  target.price === undefined || usage === undefined ? nanos(0n) : costOf(usage, target.price);

/** The text of a request that a model reads, without what is no text. */
export function textOfRequest(request: ChatRequest): string {
  const pieces: string[] = [];
  for (const message of request.messages) pieces.push(textOfParts(message.parts));
  for (const tool of request.tools ?? [])
    pieces.push(
      tool.type === "function"
        ? `${tool.name} ${tool.description ?? ""} ${JSON.stringify(tool.parameters ?? {})}`
        : JSON.stringify(tool.value),
    );
  return pieces.join("\n");
}

export function textOfParts(parts: readonly Part[]): string {
  return parts
    .map((part) => {
      switch (part.type) {
        case "text":
        case "thinking":
        case "refusal":
          return part.text;
        case "tool-call":
          return `${part.name} ${part.arguments}`;
        case "tool-result":
          return textOfParts(part.parts);
        case "unknown":
          return JSON.stringify(part.value);
        case "media":
          return "";
      }
    })
    .join("\n");
}
