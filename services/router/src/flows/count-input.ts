import { parseEmbeddingsRequest } from "@weir/dialects";
import { WeirError } from "@weir/kernel";
import type { Call, ChatInput, EmbedInput } from "../domain/call.ts";
import type { Vocabulary } from "../domain/vocabulary.ts";
import type { RoutedTarget } from "../ports.ts";
import type { FlowDependencies } from "./attempts.ts";
import { parseObject, Preparation } from "./prepare.ts";
import { bytesOf } from "./usage.ts";

/** Of one candidate whose vocabulary is known. */
export interface CountedInput {
  readonly provider: string;
  readonly model: string;
  readonly tokens: number;
  /** Of these, the texts of messages. */
  readonly textTokens: number;
}

/**
 * An upper bound of the input, tighter than its bytes: texts count as their tokens, and all else of the body as its bytes, one token each.
 * What providers put around a message (OpenAI documents 4 tokens, and 3 for the answer) is less than the JSON around it, `{"role":"user",
 * "content":""}`; what they make of tools and formats is bounded by the bytes of those and by what the caller adds for instructions.
 * Two parts of a message may be one text to the model, whose tokens can be a few more than those of its parts: fewer than the JSON between
 * them. So it is a bound wherever the vocabulary is the model's own.
 * @param textBytes bytes of the request without inline media
 * @throws WeirError invalid_request for a body that cannot be read
 */
export async function countInput(
  dependencies: FlowDependencies,
  call: Call,
  input: ChatInput | EmbedInput,
  kind: "chat" | "embed",
  targets: readonly RoutedTarget[],
  textBytes: number,
): Promise<CountedInput[]> {
  const texts = kind === "chat" ? chatTexts(dependencies, call, input as ChatInput) : embedTexts(input as EmbedInput);
  const bytes = bytesOf(texts);
  const byVocabulary = new Map<Vocabulary, Promise<number | undefined>>();
  const counted: CountedInput[] = [];
  for (const { provider, model, vocabulary } of targets) {
    if (vocabulary === undefined) continue;
    let counting = byVocabulary.get(vocabulary);
    if (counting === undefined) {
      counting = dependencies.tokens.count({ vocabulary }, texts);
      byVocabulary.set(vocabulary, counting);
    }
    const tokens = await counting;
    if (tokens !== undefined)
      counted.push({ provider, model, tokens: Math.max(0, textBytes - bytes) + tokens, textTokens: tokens });
  }
  return counted;
}

/** The texts of messages, which are verbatim in the body. Tools and formats are not: providers write them in their own way. */
function chatTexts(dependencies: FlowDependencies, call: Call, input: ChatInput): string[] {
  const { core } = new Preparation(dependencies, input, call, false);
  return core.messages.flatMap(({ parts }) =>
    parts.flatMap((part) => (part.type === "text" && part.text !== "" ? [part.text] : [])),
  );
}

function embedTexts(input: EmbedInput): string[] {
  const { inputs } = input.kind === "typed" ? input.request : parseEmbeddingsRequest(parseObject(input.body));
  return inputs.map((one) => {
    if (typeof one === "string") return one;
    throw new WeirError("invalid_request", "Token arrays are counted already.");
  });
}
