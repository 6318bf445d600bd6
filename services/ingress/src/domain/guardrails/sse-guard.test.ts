import { dialects, type DialectName, encodeSse, type JsonObject, SseParser } from "@weir/dialects";
import type { Rule } from "@weir/guardrails";
import { WeirError } from "@weir/kernel";
import { expect, test, vi } from "vitest";
import { Guards } from "./guard.ts";
import { GuardSession } from "./session.ts";
import { SseGuard } from "./sse-guard.ts";

// Many rounds, on a machine that may be busy.
vi.setConfig({ testTimeout: 300_000 });

type Facade = "openai-chat" | "openai-responses" | "anthropic-messages";
const FACADES: readonly Facade[] = ["openai-chat", "openai-responses", "anthropic-messages"];

/** mulberry32 */
function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

const rulesOf = (action: Rule["action"]): Rule[] =>
  (["card", "secrets", "email"] as const).map((kind) => ({
    detector: { kind },
    action,
    places: ["input", "output", "tool-arguments"],
  }));

const guards = new Guards(
  new Map([
    ["redact", { rules: rulesOf("redact"), external: [] }],
    ["block", { rules: rulesOf("block"), external: [] }],
  ]),
);

function sessionOf(name: string): GuardSession {
  const guard = guards.of([name]);
  if (guard === undefined) throw new Error("no guard");
  return new GuardSession(guard);
}

function cut(random: () => number, text: string, largest: number): string[] {
  const pieces: string[] = [];
  for (let at = 0; at < text.length; ) {
    const size = 1 + Math.floor(random() * largest);
    pieces.push(text.slice(at, at + size));
    at += size;
  }
  return pieces;
}

/** A stream as the dialect's provider sends it: a text, then a call of a tool, each in pieces. */
const STREAMS: Readonly<Record<Facade, (text: readonly string[], args: readonly string[]) => JsonObject[]>> = {
  "openai-chat": (text, args) => {
    const chunk = (delta: JsonObject, finish_reason: string | null = null): JsonObject => ({
      id: "c1",
      object: "chat.completion.chunk",
      created: 1_780_000_000,
      model: "m",
      x_unknown: { keep: true },
      choices: [
        {
          index: 0,
          delta,
          logprobs:
            "content" in delta
              ? { content: [{ token: delta["content"] ?? "", logprob: -1, bytes: null, top_logprobs: [] }] }
              : null,
          finish_reason,
        },
      ],
    });
    return [
      chunk({ role: "assistant", content: "" }),
      ...text.map((content) => chunk({ content })),
      chunk({ tool_calls: [{ index: 0, id: "call_1", type: "function", function: { name: "f", arguments: "" } }] }),
      ...args.map((piece) => chunk({ tool_calls: [{ index: 0, function: { arguments: piece } }] })),
      chunk({}, "tool_calls"),
    ];
  },
  "anthropic-messages": (text, args) => [
    {
      type: "message_start",
      message: {
        id: "m1",
        type: "message",
        role: "assistant",
        model: "m",
        content: [],
        stop_reason: null,
        stop_sequence: null,
        usage: { input_tokens: 1, output_tokens: 1 },
      },
    },
    { type: "content_block_start", index: 0, content_block: { type: "text", text: "" } },
    ...text.map((piece) => ({ type: "content_block_delta", index: 0, delta: { type: "text_delta", text: piece } })),
    { type: "content_block_stop", index: 0 },
    { type: "content_block_start", index: 1, content_block: { type: "tool_use", id: "t1", name: "f", input: {} } },
    ...args.map((piece) => ({
      type: "content_block_delta",
      index: 1,
      delta: { type: "input_json_delta", partial_json: piece },
    })),
    { type: "content_block_stop", index: 1 },
    { type: "message_delta", delta: { stop_reason: "tool_use", stop_sequence: null }, usage: { output_tokens: 9 } },
    { type: "message_stop" },
  ],
  "openai-responses": (text, args) => {
    const said = text.join("");
    const called = args.join("");
    const message = {
      id: "i0",
      type: "message",
      role: "assistant",
      status: "completed",
      content: [{ type: "output_text", text: said, annotations: [], logprobs: [] }],
    };
    const call = {
      id: "i1",
      type: "function_call",
      call_id: "call_1",
      name: "f",
      arguments: called,
      status: "completed",
    };
    const response = (status: string, output: JsonObject[]): JsonObject => ({
      id: "r1",
      object: "response",
      created_at: 1_780_000_000,
      status,
      model: "m",
      output,
    });
    const at = { item_id: "i0", output_index: 0, content_index: 0 };
    const events: JsonObject[] = [
      { type: "response.created", response: response("in_progress", []) },
      { type: "response.output_item.added", output_index: 0, item: { ...message, status: "in_progress", content: [] } },
      {
        type: "response.content_part.added",
        ...at,
        part: { type: "output_text", text: "", annotations: [], logprobs: [] },
      },
      ...text.map((delta) => ({
        type: "response.output_text.delta",
        ...at,
        delta,
        logprobs: [{ token: delta, logprob: -1, top_logprobs: [] }],
        obfuscation: "xY9",
      })),
      { type: "response.output_text.done", ...at, text: said, logprobs: [] },
      {
        type: "response.content_part.done",
        ...at,
        part: { type: "output_text", text: said, annotations: [], logprobs: [] },
      },
      { type: "response.output_item.done", output_index: 0, item: message },
      { type: "response.output_item.added", output_index: 1, item: { ...call, status: "in_progress", arguments: "" } },
      ...args.map((delta) => ({
        type: "response.function_call_arguments.delta",
        item_id: "i1",
        output_index: 1,
        delta,
      })),
      { type: "response.function_call_arguments.done", item_id: "i1", output_index: 1, arguments: called },
      { type: "response.output_item.done", output_index: 1, item: call },
      { type: "response.completed", response: response("completed", [message, call]) },
    ];
    return events.map((event, sequence_number) => ({ ...event, sequence_number }));
  },
};

const encoded = (events: readonly JsonObject[], dialect: Facade): string => {
  const body = events.map((event) =>
    encodeSse({ event: typeof event["type"] === "string" ? event["type"] : "", data: JSON.stringify(event) }),
  );
  return body.join("") + (dialect === "openai-chat" ? "data: [DONE]\n\n" : "");
};

interface Read {
  text: string;
  args: string;
  ended: boolean;
}

/** By the dialect's own parser, which knows nothing of guardrails. */
function read(dialect: DialectName, sse: string): Read {
  const result: Read = { text: "", args: "", ended: false };
  const parser = dialects[dialect].streamParser();
  const kinds = new Map<number, string>();
  const bytes = new SseParser();
  const events = [...bytes.push(new TextEncoder().encode(sse)), ...bytes.end()];
  for (const event of events) {
    for (const step of parser.push(event)) {
      if (step.type === "part-start") kinds.set(step.index, step.part.type);
      if (step.type === "part-delta") {
        if (kinds.get(step.index) === "tool-call") result.args += step.text;
        else result.text += step.text;
      }
      if (step.type === "finish") result.ended = true;
    }
  }
  return result;
}

const VALUES = [
  "4111 1111 1111 1111",
  "5555555555554444",
  "3782 822463 10005",
  "4111\u200b1111\u200b1111\u200b1111",
  "NDExMTExMTExMTExMTExMQ==",
  "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
  `-----BEGIN PRIVATE KEY-----\n${"MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7".repeat(1)}\n-----END PRIVATE KEY-----`,
  "sk-proj-abcdefghij0123456789ABCDEFGHIJ",
  "ghp_0123456789abcdefghijABCDEFGHIJ012345",
  "someone@mail.example.org",
];

function guarded(
  session: GuardSession,
  dialect: Facade,
  sse: string,
  random: () => number,
): { out: string; error: unknown } {
  const guard = new SseGuard(session, dialect);
  const decoder = new TextDecoder();
  let out = "";
  try {
    const bytes = new TextEncoder().encode(sse);
    const last = bytes.length - Math.min(bytes.length, 40);
    // As a transport cuts: in characters, in line ends, and in packets.
    const largest = [3, 60, 600, 5_000][Math.floor(random() * 4)] as number;
    for (let at = 0; at < last; ) {
      const size = Math.min(last - at, 1 + Math.floor(random() * largest));
      out += decoder.decode(guard.push(bytes.subarray(at, at + size)).shown, { stream: true });
      at += size;
    }
    out += decoder.decode(guard.end(bytes.subarray(last)).shown);
    return { out, error: undefined };
  } catch (error) {
    return { out, error };
  }
}

/** For each of three dialects, redacting and blocking: 10,200 in all, half of them with a value in a text, half in a tool's arguments. */
const ROUNDS = Number(process.env["WEIR_TEST_SPLITS"] ?? 1_700);

/** JSON as a model may write it just as well: some characters as escapes. */
const escapedSome = (random: () => number, json: string): string =>
  random() < 0.7
    ? json
    : json.replaceAll(/(?<!\\)[A-Za-z0-9@]/g, (one) =>
        random() < 0.3 ? `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}` : one,
      );

const labelOf = (value: string): string =>
  value.includes("@")
    ? "EMAIL"
    : value.includes("BEGIN")
      ? "PRIVATE_KEY"
      : /^(?:\d|NDEx)/.test(value)
        ? "CARD"
        : "SECRET";

test.each(FACADES)(
  "%s: a redacted value is nowhere in the stream, which is whole and reads as the redacted answer",
  (dialect) => {
    const random = seeded(20_261_121);
    for (let round = 0; round < ROUNDS; round += 1) {
      const value = VALUES[Math.floor(random() * VALUES.length)] as string;
      const inText = random() < 0.7;
      const said = `Well, it is ${inText ? value : "nothing"} as you said. Ünïcode 数据 too.`;
      const note = `for ${inText && random() < 0.5 ? "nobody" : value}, "now"\n`;
      const given = escapedSome(random, JSON.stringify({ note, more: "x" }));
      const pieces = (text: string): string[] => cut(random, text, random() < 0.3 ? 1 : 9);
      const events = STREAMS[dialect](pieces(said), pieces(given));
      const sse = encoded(events, dialect);
      const session = sessionOf("redact");
      const { out, error } = guarded(session, dialect, sse, random);
      expect(error).toBeUndefined();
      for (const part of [value, value.slice(2, -2), value.slice(-8)])
        expect(out).not.toContain(JSON.stringify(part).slice(1, -1));
      // No piece of it either: what is left is only what it was put around.
      const { text, args, ended } = read(dialect, out);
      const masked = (whole: string): string => whole.replace(value, `[${labelOf(value)}_1]`);
      expect(text).toBe(masked(said));
      expect(JSON.parse(args)).toEqual({ note: masked(note), more: "x" });
      expect(ended).toBe(true);
      if (dialect === "openai-responses") {
        const numbers = [...out.matchAll(/"sequence_number":(\d+)/g)].map(([, number]) => Number(number));
        expect(numbers).toEqual(numbers.map((_, index) => index));
        expect(out.trimEnd().split("\n\n").at(-1)).toContain(JSON.stringify(masked(said)).slice(1, -1));
      }
      if (dialect === "openai-chat") expect(out).toContain('"x_unknown":{"keep":true}');
      expect(session.verdict.findings.every(({ action }) => action === "redact")).toBe(true);
    }
  },
);

test.each(FACADES)(
  "%s: nothing of a value is let through where it blocks, and the stream does not look whole",
  (dialect) => {
    const random = seeded(7);
    for (let round = 0; round < ROUNDS; round += 1) {
      const value = VALUES[Math.floor(random() * VALUES.length)] as string;
      const inText = random() < 0.5;
      const before = "Of course, here it comes: ";
      const events = STREAMS[dialect](
        cut(random, inText ? `${before}${value} and more` : "Calling.", random() < 0.3 ? 1 : 9),
        cut(
          random,
          inText ? '{"note":"no"}' : `{"note":"${before}${escapedSome(random, JSON.stringify(`${value}.`).slice(1))}}`,
          random() < 0.3 ? 1 : 9,
        ),
      );
      const { out, error } = guarded(sessionOf("block"), dialect, encoded(events, dialect), random);
      expect(error).toBeInstanceOf(WeirError);
      expect(error).toMatchObject({ reason: "guardrail_blocked" });
      const { text, args, ended } = read(dialect, out);
      expect(before.startsWith(inText ? text : args.slice('{"note":"'.length)) || text === "Calling.").toBe(true);
      expect(ended).toBe(false);
      for (let at = 0; at + 6 <= value.length; at += 3)
        expect(out).not.toContain(JSON.stringify(value.slice(at, at + 6)).slice(1, -1));
    }
  },
);

test.each(FACADES)("%s: a stream in which nothing is found keeps every byte", (dialect) => {
  const random = seeded(3);
  for (let round = 0; round < 200; round += 1) {
    const events = STREAMS[dialect](
      cut(random, "Nothing to see here, 1 2 3 – ünï. ", 9),
      cut(random, '{"a":1,"b":["x",null]}', 5),
    );
    const sse = encoded(events, dialect)
      .replaceAll(/"logprobs":\{[^\n]*?\]\}\]\}/g, '"logprobs":null')
      .replaceAll(/"logprobs":\[\{[^\]]*\]\}\]/g, '"logprobs":[]');
    const { out } = guarded(sessionOf("redact"), dialect, sse, random);
    const texts = (whole: string): Read => read(dialect, whole);
    expect(texts(out)).toEqual(texts(sse));
  }
});

test.each(FACADES)(
  "%s: values of the request come back in the answer's text and arguments, across events",
  (dialect) => {
    const random = seeded(9);
    for (let round = 0; round < 300; round += 1) {
      const session = sessionOf("redact");
      const request = {
        messages: [
          {
            role: "user",
            content: 'I am ann@example.org and wrote [EMAIL_1] and "bob\\"@example.org; bob@example.org',
          },
        ],
      };
      const edits = session.input(request);
      // The number that the client wrote itself is not given out.
      expect(edits[0]?.text).toBe('I am [EMAIL_2] and wrote [EMAIL_1] and "bob\\"@example.org; [EMAIL_3]');
      const said = "Dear [EMAIL_2], not [EMAIL_1], [EMAIL_9] or [EMAIL_";
      const events = STREAMS[dialect](cut(random, said, 4), cut(random, '{"to":"[EMAIL_3]","x":"[EMAIL_1]"}', 4));
      const { out } = guarded(session, dialect, encoded(events, dialect), random);
      const { text, args } = read(dialect, out);
      expect(text).toBe("Dear ann@example.org, not [EMAIL_1], [EMAIL_9] or [EMAIL_");
      expect(JSON.parse(args)).toEqual({ to: "bob@example.org", x: "[EMAIL_1]" });
    }
  },
);

test("pieces of a text in members that nobody here knows are one text, too", () => {
  const random = seeded(17);
  for (let round = 0; round < 300; round += 1) {
    const value = VALUES[Math.floor(random() * VALUES.length)] as string;
    const pieces = cut(random, `It is ${value} as I said.`, 7);
    const make = [
      (text: string): JsonObject => ({ audio: { id: "a1", transcript: text } }),
      (text: string): JsonObject => ({ content: [{ type: "text", text }] }),
      (text: string): JsonObject => ({ reasoning: { steps: [{ type: "step", summary: text }] } }),
    ][Math.floor(random() * 3)] as (text: string) => JsonObject;
    const chunk = (delta: JsonObject, finish_reason: string | null = null): JsonObject => ({
      id: "c1",
      object: "chat.completion.chunk",
      choices: [{ index: 0, delta, finish_reason }],
    });
    const sse = encoded([...pieces.map((piece) => chunk(make(piece))), chunk({}, "stop")], "openai-chat");
    const { out } = guarded(sessionOf("redact"), "openai-chat", sse, random);
    for (let at = 0; at + 6 <= value.length; at += 3)
      expect(out.replaceAll("PRIVATE_KEY", "")).not.toContain(JSON.stringify(value.slice(at, at + 6)).slice(1, -1));
    const texts = [...out.matchAll(/"(?:transcript|text|summary)":("(?:[^"\\\\]|\\\\.)*")/g)].map(
      ([, text = ""]) => JSON.parse(text) as string,
    );
    expect(texts.join("")).toBe(`It is [${labelOf(value)}_1] as I said.`);
  }
});

test("a block that begins with a part of its text is one text with its deltas", () => {
  const events: JsonObject[] = [
    { type: "content_block_start", index: 0, content_block: { type: "text", text: "It is 4111 11" } },
    { type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "11 1111 1111, sir" } },
    { type: "content_block_stop", index: 0 },
  ];
  const { out } = guarded(sessionOf("redact"), "anthropic-messages", encoded(events, "anthropic-messages"), seeded(1));
  expect(out).not.toContain("1111");
  expect(out).toContain("[CARD_1]");
});

test("a comment in which something is found does not go on; others do", () => {
  const { out } = guarded(
    sessionOf("redact"),
    "openai-chat",
    `: keep-alive\n\n: ${VALUES[1] ?? ""}\n\ndata: [DONE]\n\n`,
    seeded(1),
  );
  expect(out).toBe(": keep-alive\n\ndata: [DONE]\n\n");
});
