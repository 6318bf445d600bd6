/** Reads answers of every dialect for what a person would see in them. Written from the providers' documents, apart from our dialects. */

type Json = Record<string, unknown>;

export interface Seen {
  readonly text: string;
  readonly calls: readonly { readonly name: string; readonly args: unknown }[];
  readonly inputTokens: number | undefined;
  readonly outputTokens: number | undefined;
}

export const at = (value: unknown, ...path: (string | number)[]): unknown =>
  path.reduce<unknown>((inner, step) => (inner as Record<string | number, unknown> | null | undefined)?.[step], value);

const list = (value: unknown): Json[] => (Array.isArray(value) ? (value as Json[]) : []);
const text = (value: unknown): string => (typeof value === "string" ? value : "");
const count = (...values: unknown[]): number | undefined =>
  typeof values[0] === "number"
    ? values.reduce<number>((sum, value) => sum + (typeof value === "number" ? value : 0), 0)
    : undefined;
const parsed = (args: string): unknown => JSON.parse(args === "" ? "{}" : args);

export function eventsOf(stream: string): Json[] {
  return stream
    .split(/\r?\n\r?\n/)
    .map((event) => /^data: ?(.*)$/m.exec(event)?.[1] ?? "")
    .filter((data) => data.startsWith("{"))
    .map((data) => JSON.parse(data) as Json);
}

export const readWhole: Readonly<Record<string, (answer: Json) => Seen>> = {
  "openai-chat": (answer) => {
    const message = at(answer, "choices", 0, "message");
    return {
      text: text(at(message, "content")),
      calls: list(at(message, "tool_calls")).map((call) => ({
        name: text(at(call, "function", "name")),
        args: parsed(text(at(call, "function", "arguments"))),
      })),
      inputTokens: count(at(answer, "usage", "prompt_tokens")),
      outputTokens: count(at(answer, "usage", "completion_tokens")),
    };
  },
  "openai-responses": (answer) => {
    const items = list(answer["output"]);
    return {
      text: items
        .flatMap((item) => (item["type"] === "message" ? list(item["content"]) : []))
        .map((part) => text(part["text"]))
        .join(""),
      calls: items
        .filter((item) => item["type"] === "function_call")
        .map((item) => ({ name: text(item["name"]), args: parsed(text(item["arguments"])) })),
      inputTokens: count(at(answer, "usage", "input_tokens")),
      outputTokens: count(at(answer, "usage", "output_tokens")),
    };
  },
  "anthropic-messages": (answer) => {
    const blocks = list(answer["content"]);
    const { usage } = answer;
    return {
      text: blocks.map((block) => (block["type"] === "text" ? text(block["text"]) : "")).join(""),
      calls: blocks
        .filter((block) => block["type"] === "tool_use")
        .map((block) => ({ name: text(block["name"]), args: block["input"] })),
      inputTokens: count(
        at(usage, "input_tokens"),
        at(usage, "cache_read_input_tokens"),
        at(usage, "cache_creation_input_tokens"),
      ),
      outputTokens: count(at(usage, "output_tokens")),
    };
  },
  "gemini-generate": (answer) => {
    const parts = list(at(answer, "candidates", 0, "content", "parts"));
    const usage = answer["usageMetadata"];
    return {
      text: parts.map((part) => (part["thought"] === true ? "" : text(part["text"]))).join(""),
      calls: parts
        .filter((part) => part["functionCall"] !== undefined)
        .map((part) => ({
          name: text(at(part, "functionCall", "name")),
          args: at(part, "functionCall", "args") ?? {},
        })),
      inputTokens: count(at(usage, "promptTokenCount"), at(usage, "toolUsePromptTokenCount")),
      outputTokens: count(at(usage, "candidatesTokenCount") ?? 0, at(usage, "thoughtsTokenCount")),
    };
  },
};

export const readStream: Readonly<Record<string, (stream: string) => Seen>> = {
  "openai-chat": (stream) => {
    const chunks = eventsOf(stream);
    const calls = new Map<number, { name: string; args: string }>();
    let said = "";
    for (const chunk of chunks) {
      const delta = at(chunk, "choices", 0, "delta");
      said += text(at(delta, "content"));
      for (const call of list(at(delta, "tool_calls"))) {
        const index = Number(call["index"] ?? 0);
        const known = calls.get(index) ?? { name: "", args: "" };
        known.name += text(at(call, "function", "name"));
        known.args += text(at(call, "function", "arguments"));
        calls.set(index, known);
      }
    }
    const usage = chunks.map((chunk) => chunk["usage"] ?? at(chunk, "x_groq", "usage")).findLast((one) => one != null);
    return {
      text: said,
      calls: [...calls.values()].map(({ name, args }) => ({ name, args: parsed(args) })),
      inputTokens: count(at(usage, "prompt_tokens")),
      outputTokens: count(at(usage, "completion_tokens")),
    };
  },
  "openai-responses": (stream) => {
    const events = eventsOf(stream);
    const last = events.findLast(({ type }) => type === "response.completed" || type === "response.incomplete");
    const whole = readWhole["openai-responses"]?.((last?.["response"] ?? {}) as Json);
    const deltas = events.filter(({ type }) => type === "response.output_text.delta");
    return {
      text: deltas.map(({ delta }) => text(delta)).join(""),
      calls: whole?.calls ?? [],
      inputTokens: whole?.inputTokens,
      outputTokens: whole?.outputTokens,
    };
  },
  "anthropic-messages": (stream) => {
    const blocks = new Map<number, Json & { args: string }>();
    let usage: Json = {};
    for (const event of eventsOf(stream)) {
      if (event["type"] === "message_start") usage = at(event, "message", "usage") as Json;
      if (event["type"] === "message_delta") usage = { ...usage, ...(event["usage"] as Json) };
      const index = Number(event["index"]);
      if (event["type"] === "content_block_start") blocks.set(index, { ...(event["content_block"] as Json), args: "" });
      const block = blocks.get(index);
      if (block === undefined || event["type"] !== "content_block_delta") continue;
      block["text"] = text(block["text"]) + text(at(event, "delta", "text"));
      block.args += text(at(event, "delta", "partial_json"));
    }
    const content = [...blocks.values()].map((block) =>
      block["type"] === "tool_use" && block.args !== "" ? { ...block, input: parsed(block.args) } : block,
    );
    const read = readWhole["anthropic-messages"];
    if (read === undefined) throw new Error("no reader");
    return read({ content, usage });
  },
  "gemini-generate": (stream) => {
    const chunks = eventsOf(stream);
    const parts = chunks.flatMap((chunk) => list(at(chunk, "candidates", 0, "content", "parts")));
    const usageMetadata = chunks.map((chunk) => chunk["usageMetadata"]).findLast((usage) => usage !== undefined);
    const read = readWhole["gemini-generate"];
    if (read === undefined) throw new Error("no reader");
    return read({ candidates: [{ content: { parts } }], usageMetadata });
  },
};
