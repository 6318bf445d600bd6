import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { anthropicMessages } from "./anthropic-messages.ts";
import { openAiChat } from "./openai-chat.ts";
import { openAiResponses } from "./openai-responses.ts";
import { literalLength, SseWatcher } from "./watcher.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

const chunk = (body: object): string => `data: ${JSON.stringify(body)}\n\n`;
const delta = (content: string, reason: string | null = null): string =>
  chunk({ id: "c", choices: [{ index: 0, delta: { content }, logprobs: null, finish_reason: reason }], usage: null });
const USAGE = chunk({ id: "c", choices: [], usage: { prompt_tokens: 9, completion_tokens: 3, total_tokens: 12 } });
const DONE = "data: [DONE]\n\n";

const watch = (text: string, places: readonly number[] = [], hideUsage = false) => {
  const bytes = encoder.encode(text);
  const watcher = openAiChat.streamWatcher({ hideUsage });
  const at = [0, ...places.map((place) => place % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  let shown = "";
  const streaming = new TextDecoder();
  for (const [index, end] of at.slice(1).entries()) {
    const out = watcher.push(bytes.slice(at[index], end));
    if (out !== undefined) shown += streaming.decode(out, { stream: true });
  }
  return { watcher, shown, end: watcher.end() };
};

describe("SseWatcher", () => {
  it("passes every byte on, the terminal event last, wherever the stream is cut", () => {
    const event = fc.oneof(
      fc.string({ unit: "grapheme" }).map((text) => delta(text)),
      fc.constantFrom(": ping\n\n", "\n", ": x\r\n\r\n", "event: odd\ndata: no json\n\n", USAGE),
    );
    const last = fc.constantFrom(
      DONE,
      "data: [DONE]",
      "data:[DONE]\r\n\r\n",
      `${DONE}\n`,
      `event: error\n${chunk({ error: { message: "x" } })}${DONE}`,
    );
    fc.assert(
      fc.property(
        fc.array(event, { maxLength: 8 }),
        last,
        fc.array(fc.nat(5000), { maxLength: 9 }),
        (events, terminal, places) => {
          const text = events.join("") + terminal;
          const { shown, end } = watch(text, places);
          const withheld = decoder.decode(end.terminal);
          expect(shown + withheld).toBe(events.join("") + terminal);
          // Where a CRLF is cut in two, its LF comes with the next event.
          expect(withheld.replace(/^\n/, "")).toBe(terminal);
        },
      ),
    );
  });

  it("learns usage, finish reason and size on the way", () => {
    const { watcher, end } = watch(
      delta("") + delta('a "quoted" \\ word\n') + delta("é") + delta("", "length") + USAGE + DONE,
    );
    expect(watcher.done).toBe(true);
    expect(end.error).toBeUndefined();
    expect(end.finishReason).toBe("length");
    expect(end.usage).toMatchObject({ inputTokens: 9, outputTokens: 3 });
    expect(end.outputCharacters).toBe('a "quoted" \\ word\né'.length);
  });

  it("has not started before the first content", () => {
    const watcher = openAiChat.streamWatcher({ hideUsage: false });
    watcher.push(
      encoder.encode(`: ping\n\n${chunk({ choices: [{ index: 0, delta: { role: "assistant", content: "" } }] })}`),
    );
    expect(watcher.started).toBe(false);
    watcher.push(encoder.encode(delta("x")));
    expect(watcher.started).toBe(true);
  });

  it("hides the usage that the client did not ask for, and only that", () => {
    const both = chunk({
      choices: [{ index: 0, delta: {}, finish_reason: "stop" }],
      usage: { prompt_tokens: 1, completion_tokens: 1 },
    });
    expect(watch(delta("a") + USAGE + DONE, [], true).shown).toBe(delta("a"));
    expect(watch(delta("a") + both + DONE, [], true).shown).toBe(delta("a") + both);
    expect(watch(delta("a") + both + DONE, [], true).end.usage?.outputTokens).toBe(1);
  });

  it("reports a cut stream, and shows no torn event", () => {
    const whole = delta("a") + delta("b", "stop");
    for (const torn of ["", "data: {", "data: [DON"]) {
      const { shown, end, watcher } = watch(whole + torn);
      expect(shown).toBe(whole);
      expect(end.terminal.length).toBe(0);
      expect(end.error?.reason).toBe("stream_interrupted");
      expect(watcher.done).toBe(false);
    }
  });

  it("holds an in-band error back and says which", () => {
    const error = `event: error\n${chunk({ error: { message: "no", type: "invalid_request_error", code: "tool_use_failed", status_code: 400 } })}`;
    const { watcher, shown, end } = watch(delta("a") + error);
    expect(shown).toBe(delta("a"));
    expect(decoder.decode(end.terminal)).toBe(error);
    expect(watcher.failure?.code).toBe("tool_use_failed");
    expect(end.error?.reason).toBe("provider_rejected");
    expect(end.error?.status).toBe(400);
    const early = watch(chunk({ error: { message: "busy", code: 503 } }));
    expect(early.watcher.started).toBe(false);
    expect(early.end.error?.reason).toBe("provider_overloaded");
  });

  it("is not misled by content that looks like what it searches for", () => {
    const tricky = [
      '"usage":{"prompt_tokens":1}',
      '"finish_reason":"stop"',
      "usage",
      "[DONE]",
      '"error":{"message":"x"}',
      "data: [DONE]",
    ];
    const { watcher, end } = watch(delta("start") + tricky.map((text) => delta(text)).join("") + USAGE + DONE);
    expect(watcher.failure).toBeUndefined();
    expect(end.usage?.inputTokens).toBe(9);
    expect(end.outputCharacters).toBe("start".length + tricky.join("").length);
  });

  it("takes any bytes", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 60 })), (chunks) => {
        const watcher = openAiChat.streamWatcher({ hideUsage: true });
        for (const one of chunks) watcher.push(one);
        watcher.end();
      }),
    );
    fc.assert(
      fc.property(fc.array(fc.json()), (bodies) => {
        const watcher = openAiChat.streamWatcher({ hideUsage: true });
        for (const body of bodies) watcher.push(encoder.encode(`data: ${body}\n\n`));
        watcher.end();
      }),
    );
  });

  it("ends before an event that is no JSON, with an error, wherever the stream is cut", () => {
    const good = `data: {"choices":[{"index":0,"delta":{"content":"word"}}]}\n\n`;
    const delta = `event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}}\n\n`;
    const text = `event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"a"}\n\n`;
    for (const [dialect, before, bad] of [
      [openAiChat, good, "data: {not json\n\n"],
      [openAiChat, good, `data: {"choices":[{"finish_reason":]}\n\n`],
      [openAiChat, good, "data: <html>\n\n"],
      [anthropicMessages, delta, `event: content_block_delta\ndata: {"type":"content_bl\n\n`],
      [anthropicMessages, delta, `event: message_delta\ndata: {"type":}\n\n`],
      [openAiResponses, text, `event: response.output_text.delta\ndata: {"type"\n\n`],
      [openAiResponses, text, `event: response.completed\ndata: {"response":}\n\n`],
    ] as const) {
      const whole = Buffer.from(before + bad + before);
      for (let cut = 0; cut <= whole.length; cut++) {
        const watcher = dialect.streamWatcher({ hideUsage: false });
        const shown = [watcher.push(whole.subarray(0, cut)), watcher.push(whole.subarray(cut))];
        expect(Buffer.concat(shown.filter((piece) => piece !== undefined)).toString(), bad).toBe(before);
        expect(watcher.done).toBe(true);
        expect(watcher.failure?.error.reason).toBe("provider_bad_response");
        const end = watcher.end();
        expect(end.error?.reason).toBe("provider_bad_response");
        expect(end.terminal).toHaveLength(0);
      }
    }
  });

  it("passes a chunk of whole events on without a copy", () => {
    const watcher = new SseWatcher({
      inspect: () => "pass",
      started: true,
      failure: undefined,
      usage: undefined,
      finishReason: undefined,
      outputCharacters: 0,
    });
    const bytes = encoder.encode(delta("x".repeat(100)));
    expect(watcher.push(bytes)).toBe(bytes);
  });
});

describe("literalLength", () => {
  it("counts escapes as one", () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (text, after) => {
        const escaped = JSON.stringify(text);
        const decoded = JSON.parse(escaped) as string;
        expect(literalLength(`${escaped},${JSON.stringify(after)}`, 0)).toBe(decoded.length);
      }),
    );
  });
});
