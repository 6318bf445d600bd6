import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Dialect } from "./dialect.ts";
import { openAiChat } from "./openai-chat.ts";
import { openAiResponses } from "./openai-responses.ts";
import { Written } from "./written.ts";

const chatChunk = (content: string): string =>
  `data: ${JSON.stringify({ id: "c", object: "chat.completion.chunk", choices: [{ index: 0, delta: { content }, logprobs: null, finish_reason: null }] })}\n\n`;
const responseDelta = (delta: string): string =>
  `event: response.output_text.delta\ndata: ${JSON.stringify({ type: "response.output_text.delta", item_id: "i", delta, logprobs: [] })}\n\n`;

const sorted = (text: string): string => Array.from(text).toSorted().join("");

describe("what a model wrote in a stream that goes by", () => {
  it.each<readonly [string, Dialect, (text: string) => string]>([
    ["chat completions", openAiChat, chatChunk],
    ["responses", openAiResponses, responseDelta],
  ])("is all there, whatever it holds: %s", (_name, dialect, event) => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: "grapheme", maxLength: 40 }), { minLength: 1, maxLength: 12 }),
        (deltas) => {
          const watcher = dialect.streamWatcher({ hideUsage: false, keepText: true });
          for (const delta of deltas) watcher.push(Buffer.from(event(delta)));
          const kept = (watcher.written ?? []).join("");
          // Chunks that were parsed and chunks that were only looked at are kept apart: every character is there once.
          expect(sorted(kept)).toBe(sorted(deltas.join("")));
        },
      ),
    );
  });

  it("is in one piece where nothing had to be parsed", () => {
    const watcher = openAiResponses.streamWatcher({ hideUsage: false, keepText: true });
    for (const delta of ['"quoted"\n', " and ", "🙂"]) watcher.push(Buffer.from(responseDelta(delta)));
    expect(watcher.written).toEqual(['"quoted"\n and 🙂']);
  });

  it("is kept where it was asked for only, and not without end", () => {
    const watcher = openAiChat.streamWatcher({ hideUsage: false });
    watcher.push(Buffer.from(chatChunk("a")));
    expect(watcher.written).toBeUndefined();
    const written = new Written();
    for (let at = 0; at < 5; at += 1) written.text("x".repeat(1_000_000));
    expect(written.texts()).toBeUndefined();
  });
});
