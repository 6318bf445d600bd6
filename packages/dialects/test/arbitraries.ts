import { WeirError } from "@weir/kernel";
import fc from "fast-check";
import { expect } from "vitest";
import type { ChatRequest, Json, JsonObject, Message, Part, Tool } from "../src/core.ts";

/** Requests that every provider can take, and bodies that nobody should send. */

// Blank text says nothing, and some dialects refuse it; line ends and marks are what breaks event streams.
export const said = fc
  .oneof(
    fc.string({ minLength: 1 }),
    fc.constantFrom("a\nb", "\r\n\r\nx", "data: [DONE]", 'q"\\u0000', "🌍", "{}", "</s>"),
  )
  .map((text) => `.${text}.`);
export const text = said.map((value): Part => ({ type: "text", text: value }));
export const json = fc
  .dictionary(
    fc.string().filter((key) => key !== "__proto__"),
    fc.jsonValue({ maxDepth: 2 }),
    { maxKeys: 3, noNullPrototype: true },
  )
  .map((value) => JSON.stringify(value));
export const toolName = fc.constantFrom("get_weather", "ping", "look-up_2");
const image: fc.Arbitrary<Part> = fc.constantFrom(
  { type: "media", kind: "image", mediaType: "image/png", source: { base64: "iVBORw0KGgo=" } },
  { type: "media", kind: "image", source: { url: "https://example.com/a.png" } },
);
const other: fc.Arbitrary<Part> = fc.constantFrom(
  { type: "media", kind: "audio", mediaType: "audio/wav", source: { base64: "UklGRg==" } },
  { type: "media", kind: "file", mediaType: "application/pdf", source: { base64: "JVBERi0=" }, name: "a.pdf" },
  { type: "media", kind: "image", source: { fileId: "file-1" } },
);
export const thinking: fc.Arbitrary<Part> = said.map((value) => ({ type: "thinking", text: value }));

/** A question, tool turns and answers in an order that every provider takes. */
const exchange: fc.Arbitrary<Message[]> = fc
  .record({
    ask: fc.array(fc.oneof({ weight: 4, arbitrary: text }, image, other), { minLength: 1, maxLength: 3 }),
    think: fc.option(thinking, { nil: undefined }),
    say: fc.option(text, { nil: undefined }),
    calls: fc.array(fc.record({ name: toolName, given: json, back: said, failed: fc.boolean() }), { maxLength: 3 }),
    answer: text,
    id: fc.uuid(),
  })
  .map(({ ask, think, say, calls, answer, id }) => {
    const messages: Message[] = [{ role: "user", parts: ask }];
    if (calls.length > 0) {
      const parts: Part[] = [];
      if (think !== undefined) parts.push(think);
      if (say !== undefined) parts.push(say);
      for (const [at, { name, given }] of calls.entries())
        parts.push({ type: "tool-call", id: `${id}_${at}`, name, arguments: given });
      messages.push({ role: "assistant", parts });
      for (const [at, { back, failed }] of calls.entries())
        messages.push({
          role: "tool",
          parts: [
            {
              type: "tool-result",
              id: `${id}_${at}`,
              parts: [{ type: "text", text: back }],
              isError: failed || undefined,
            },
          ],
        });
    }
    messages.push({ role: "assistant", parts: [answer] });
    return messages;
  });

const tools: fc.Arbitrary<Tool[]> = fc.uniqueArray(
  toolName.map(
    (name): Tool => ({
      type: "function",
      name,
      description: `does ${name}`,
      parameters: { type: "object", properties: { a: { type: "string" } } },
    }),
  ),
  { maxLength: 3, selector: (tool) => (tool.type === "function" ? tool.name : "") },
);
export const maybe = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(arbitrary, { nil: undefined });

export const chatRequest: fc.Arbitrary<ChatRequest> = fc
  .record({
    model: fc.constantFrom("claude-sonnet-4-5", "claude-opus-5", "gemini-2.5-flash", "gemini-3-pro", "gpt-5", "mine"),
    system: maybe(said),
    exchanges: fc.array(exchange, { maxLength: 3 }),
    question: text,
    tools,
    choice: maybe(fc.constantFrom("auto", "none", "required")),
    maxOutputTokens: maybe(fc.integer({ min: 1, max: 100_000 })),
    temperature: maybe(fc.constantFrom(0, 0.5, 1, 1.5)),
    topP: maybe(fc.constantFrom(0.1, 0.9, 1)),
    topK: maybe(fc.integer({ min: 1, max: 50 })),
    stop: maybe(fc.array(said, { minLength: 1, maxLength: 4 })),
    seed: maybe(fc.integer({ min: 0, max: 1000 })),
    n: maybe(fc.constantFrom(2, 3)),
    user: maybe(said),
    presencePenalty: maybe(fc.constantFrom(-1, 0.5)),
    frequencyPenalty: maybe(fc.constantFrom(-1, 0.5)),
    effort: maybe(fc.constantFrom("none", "low", "high", "max")),
    format: maybe(fc.constantFrom("json", "schema")),
    stream: fc.boolean(),
  })
  .map(({ system, exchanges, question, choice, effort, format, ...rest }) => ({
    ...rest,
    messages: [
      ...(system === undefined ? [] : [{ role: "system" as const, parts: [{ type: "text" as const, text: system }] }]),
      ...exchanges.flat(),
      { role: "user" as const, parts: [question] },
    ],
    tools: rest.tools.length === 0 ? undefined : rest.tools,
    toolChoice: choice === undefined ? undefined : { mode: choice as "auto" | "none" | "required" },
    reasoning: effort === undefined ? undefined : { effort },
    responseFormat:
      format === undefined
        ? undefined
        : format === "json"
          ? { type: "json" as const }
          : { type: "schema" as const, schema: { type: "object", properties: { a: { type: "string" } } } },
  }));

/** Bodies with the right names in the wrong places: deeper into the parsers than any JSON gets. */
const words = `
  model messages role user assistant tool system content type text tool_use input id tool_result
  tool_use_id name thinking signature contents parts functionCall args function_call functionResponse
  response tools input_schema tool_calls function arguments source base64 data generationConfig
  thinkingConfig tool_choice toolConfig functionCallingConfig mode ANY output_config candidates usage
  usageMetadata choices output message delta index content_block stop_reason content_block_start
  content_block_delta content_block_stop message_start message_delta message_stop input_json_delta
  text_delta partial_json finishReason STOP error partialArgs jsonPath $.a[0].b willContinue
  promptFeedback blockReason inlineData mimeType document image media_type url item response.completed
  response.output_item.added response.output_text.delta finish_reason __proto__ constructor
  toolUse toolUseId toolResult reasoningContent reasoningText redactedContent citationsContent bytes format stopReason
  contentBlockIndex contentBlockDelta contentBlockStart contentBlockStop messageStart messageStop metadata start
  exception:throttlingException cacheReadInputTokens inputTokens outputTokens tool_plan tool_calls citations billed_units
  message-start content-start content-delta content-end tool-call-start tool-call-delta tool-call-end message-end
  citation-start finish_reason
`
  .trim()
  .split(/\s+/);
export const word = fc.constantFrom(...words);
const { wild } = fc.letrec<{ wild: Json; object: JsonObject }>((tie) => ({
  wild: fc.oneof(
    { maxDepth: 5 },
    fc.oneof(word, fc.string({ maxLength: 3 }), fc.integer(), fc.double(), fc.boolean(), fc.constant(null)),
    tie("object"),
    fc.array(tie("wild"), { maxLength: 4 }),
  ),
  object: fc
    .array(fc.tuple(word, tie("wild")), { maxLength: 6 })
    .map((entries) => JSON.parse(JSON.stringify(Object.fromEntries(entries))) as JsonObject),
}));
export const wildObject = fc
  .array(fc.tuple(word, wild), { maxLength: 8 })
  .map((entries) => JSON.parse(JSON.stringify(Object.fromEntries(entries))) as JsonObject);

/** Runs it; anything thrown must be a WeirError of one of these reasons. */
export function readable(run: () => unknown, ...reasons: string[]): void {
  try {
    run();
  } catch (error) {
    if (!(error instanceof WeirError)) throw error;
    if (reasons.length > 0) expect(reasons).toContain(error.reason);
  }
}
