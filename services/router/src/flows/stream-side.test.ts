import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { dialects } from "@weir/dialects";
import { WeirError } from "@weir/kernel";
import { PassThrough, type StreamSide, Translated } from "./stream-side.ts";

const names = ["openai-chat", "openai-responses", "anthropic-messages", "gemini-generate"] as const;
const USAGE = {
  inputTokens: 1,
  outputTokens: 1,
  cachedInputTokens: 0,
  cacheWriteTokens: 0,
  reasoningTokens: 0,
  estimated: true,
};
const request = { model: "m", messages: [], stream: true };

/** Bytes that look like streams, often enough to get far. */
const noise = fc.array(
  fc.oneof(
    fc.uint8Array({ maxLength: 40 }),
    fc.string().map((text) => Buffer.from(`data: ${text}\n\n`)),
    fc.jsonValue().map((value) => Buffer.from(`data: ${JSON.stringify(value)}\n\n`)),
    fc
      .constantFrom(
        'data: {"choices":[{"index":0,"delta":{"content":"hi"}}]}\n\n',
        'event: message_start\ndata: {"type":"message_start","message":{"id":"m","usage":{}}}\n\n',
        'data: {"candidates":[{"content":{"parts":[{"text":"hi"}]}}]}\n\n',
        'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"x"}}\n\n',
        "data: [DONE]\n\n",
      )
      .map((text) => Buffer.from(text)),
  ),
  { maxLength: 12 },
);

function sidesFor(provider: (typeof names)[number]): StreamSide[] {
  const translated = names.map((client) => {
    const dialect = dialects[client];
    const renderer = dialect.streamRenderer({ request, requestId: "r", nowS: 1 });
    return new Translated(dialects[provider], { model: "m" }, { dialect, renderer, requestId: "r" });
  });
  return [
    new PassThrough(dialects[provider], { hideUsage: true }, "r"),
    new Translated(dialects[provider], { model: "m" }, undefined),
    ...translated,
  ];
}

describe("a provider's stream, whatever it holds", () => {
  it.each(names)("of %s never throws, and ends well or in an error that is said", (provider) => {
    fc.assert(
      fc.property(noise, fc.boolean(), (chunks, cut) => {
        const broken = cut ? new WeirError("stream_interrupted", "cut") : undefined;
        for (const side of sidesFor(provider)) {
          for (const chunk of chunks) side.push(chunk);
          side.take();
          const { error } = side.end(broken);
          const { terminal } = side.close(USAGE);
          if (broken !== undefined && !side.done) expect(error).toBeInstanceOf(WeirError);
          if (error !== undefined) {
            expect(error).toBeInstanceOf(WeirError);
            // The provider's own error event may be last; [DONE] after an error would tell the client that all is well.
            if (!side.done) expect(Buffer.from(terminal).toString()).not.toContain("[DONE]");
          }
        }
      }),
      { numRuns: 150 },
    );
  });
});
