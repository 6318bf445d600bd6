import { encodeSse, exampleOfSchema, type Json, type JsonObject, openAiChat } from "@weir/dialects";
import { WeirError } from "@weir/kernel";
import { flatPrice } from "@weir/pricing";
import type { LocalAnswer, LocalRequest, ProviderKinds } from "./provider.ts";

/**
 * A provider without a model: it repeats the last user text, so that everything around a model can be tried without a key. Deterministic:
 * the same request gets the same answer. Its words count as tokens, and cost a little, so that budgets can be tried, too.
 */
export const kinds: ProviderKinds = {
  echo: {
    baseUrl: undefined,
    wires: ["openai-chat", "openai-embeddings"],
    priceBook: undefined,
    price: flatPrice({ inputNanosPerMtok: 150_000_000n, outputNanosPerMtok: 600_000_000n }, "echo"),
    contextWindow: 128_000,
    maxOutput: 16_384,
    endpoint: () => ({ path: "/", headers: [] }),
    forwards: [],
    quirks: { outputCaps: { "openai-chat": ["max_completion_tokens", "max_tokens"] }, asksForUsage: true },
    answer,
  },
};

function answer(request: LocalRequest): LocalAnswer {
  const body = objectOf(JSON.parse(Buffer.from(request.body).toString()) as Json);
  if (request.wire === "openai-embeddings") return embed(request.model, body);
  const wrong = refusalOf(body);
  if (wrong !== undefined) return wrong;
  const said = reply(body);
  return request.stream ? streamed(request.model, body, said) : whole(request.model, body, said);
}

/** It is as strict as the provider it stands in for: what it takes, another takes, too. */
function refusalOf(body: JsonObject): LocalAnswer | undefined {
  try {
    openAiChat.parseRequest(body);
    return undefined;
  } catch (error) {
    if (!(error instanceof WeirError)) throw error;
    return { status: 400, body: JSON.stringify(openAiChat.renderError(error, "")) };
  }
}

interface Reply {
  readonly text: string | undefined;
  readonly call: { readonly id: string; readonly name: string; readonly arguments: string } | undefined;
  readonly finish: "stop" | "length" | "tool_calls";
  readonly usage: { readonly prompt_tokens: number; readonly completion_tokens: number; readonly total_tokens: number };
}

function reply(body: JsonObject): Reply {
  const messages = listOf(body["messages"]);
  const inputTokens = wordsOf(messages.map((message) => textOf(objectOf(message)["content"])).join(" ")).length;
  const called = toolToCall(body, messages);
  if (called !== undefined) {
    const call = { id: `call_${hash(called.name + called.arguments)}`, ...called };
    return { text: undefined, call, finish: "tool_calls", usage: usageOf(inputTokens, wordsOf(call.arguments).length) };
  }
  const words = wordsOf(textFor(body, messages));
  const cap = numberOf(body["max_completion_tokens"]) ?? numberOf(body["max_tokens"]) ?? words.length;
  return {
    text: words.slice(0, cap).join(""),
    call: undefined,
    finish: words.length > cap ? "length" : "stop",
    usage: usageOf(inputTokens, Math.min(words.length, cap)),
  };
}

function textFor(body: JsonObject, messages: readonly Json[]): string {
  const format = objectOf(body["response_format"]);
  if (format["type"] === "json_schema")
    return JSON.stringify(exampleOfSchema(objectOf(objectOf(format["json_schema"])["schema"])));
  const last = objectOf(messages.at(-1));
  if (last["role"] === "tool") return `The tool said: ${textOf(last["content"])}`;
  const user = objectOf(messages.findLast((message) => objectOf(message)["role"] === "user"));
  const said = textOf(user["content"]) || "…";
  return format["type"] === "json_object" ? JSON.stringify({ echo: said }) : said;
}

/** A tool is called once: after its result comes a text. */
function toolToCall(body: JsonObject, messages: readonly Json[]): { name: string; arguments: string } | undefined {
  const choice = body["tool_choice"];
  if (choice === "none" || objectOf(messages.at(-1))["role"] === "tool") return undefined;
  const tools = listOf(body["tools"]).map((tool) => objectOf(objectOf(tool)["function"]));
  const forced = objectOf(objectOf(choice)["function"])["name"];
  const tool = forced === undefined ? tools[0] : tools.find(({ name }) => name === forced);
  if (typeof tool?.["name"] !== "string") return undefined;
  return { name: tool["name"], arguments: JSON.stringify(exampleOfSchema(objectOf(tool["parameters"]))) };
}

function textOf(content: Json | undefined): string {
  if (typeof content === "string") return content;
  return listOf(content)
    .map((part) => {
      const { type, text } = objectOf(part);
      if (typeof text === "string") return text;
      if (type === "image_url") return "[an image]";
      if (type === "input_audio") return "[a sound]";
      return type === "file" ? "[a file]" : "";
    })
    .filter((text) => text !== "")
    .join(" ");
}

/** Words with the space before them: joined they are the text again. */
const wordsOf = (text: string): string[] => text.match(/\s*\S+|\s+$/g) ?? [];

const usageOf = (prompt: number, completion: number): Reply["usage"] => ({
  prompt_tokens: prompt,
  completion_tokens: completion,
  total_tokens: prompt + completion,
});

function headOf(model: string, body: JsonObject, object: string): JsonObject {
  // The same request gets the same id; the time is the one thing that is not its own.
  return { id: `chatcmpl-${hash(JSON.stringify(body))}`, object, created: Math.floor(Date.now() / 1000), model };
}

function whole(model: string, body: JsonObject, { text, call, finish, usage }: Reply): LocalAnswer {
  const message: JsonObject = { role: "assistant", content: text ?? null, refusal: null };
  if (call !== undefined)
    message["tool_calls"] = [
      { id: call.id, type: "function", function: { name: call.name, arguments: call.arguments } },
    ];
  const choices = Array.from({ length: countOf(body) }, (_, index) => ({
    index,
    message,
    logprobs: null,
    finish_reason: finish,
  }));
  return {
    status: 200,
    body: JSON.stringify({ ...headOf(model, body, "chat.completion"), choices, usage: { ...usage } }),
  };
}

function streamed(model: string, body: JsonObject, { text, call, finish, usage }: Reply): LocalAnswer {
  const head = headOf(model, body, "chat.completion.chunk");
  const asked = objectOf(body["stream_options"])["include_usage"] === true;
  const chunk = (members: JsonObject): string =>
    encodeSse({
      event: "",
      data: JSON.stringify({ ...head, ...members, ...(asked ? { usage: members["usage"] ?? null } : {}) }),
    });
  const events: string[] = [];
  for (let index = 0; index < countOf(body); index += 1) {
    const say = (delta: JsonObject, finish_reason: string | null = null): void => {
      events.push(chunk({ choices: [{ index, delta, logprobs: null, finish_reason }] }));
    };
    say({ role: "assistant", content: call === undefined ? "" : null });
    for (const word of wordsOf(text ?? "")) say({ content: word });
    if (call !== undefined) {
      const { id, name } = call;
      say({ tool_calls: [{ index: 0, id, type: "function", function: { name, arguments: "" } }] });
      for (const piece of call.arguments.match(/.{1,12}/gsu) ?? [])
        say({ tool_calls: [{ index: 0, function: { arguments: piece } }] });
    }
    say({}, finish);
  }
  if (asked) events.push(chunk({ choices: [], usage: { ...usage } }));
  return { status: 200, events: [...events, encodeSse({ event: "", data: "[DONE]" })] };
}

const DIMENSIONS = 256;

function embed(model: string, body: JsonObject): LocalAnswer {
  const { input } = body;
  const inputs = typeof input === "string" ? [input] : listOf(input);
  const dimensions = numberOf(body["dimensions"]) ?? DIMENSIONS;
  const texts = inputs.map((one) => (typeof one === "string" ? one : JSON.stringify(one)));
  const base64 = body["encoding_format"] === "base64";
  const data = texts.map((text, index) => {
    const vector = unitVector(text, dimensions);
    const embedding = base64 ? Buffer.from(Float32Array.from(vector).buffer).toString("base64") : vector;
    return { object: "embedding", index, embedding };
  });
  const tokens = wordsOf(texts.join(" ")).length;
  const usage = { prompt_tokens: tokens, total_tokens: tokens };
  return { status: 200, body: JSON.stringify({ object: "list", data, model, usage }) };
}

/** Of length one; the same for the same text, and nearly orthogonal for different ones. */
function unitVector(text: string, dimensions: number): number[] {
  let state = Number.parseInt(hash(text), 16) || 1;
  const raw = Array.from({ length: dimensions }, () => {
    // Marsaglia's xorshift32: all that is wanted is that it is even and repeatable.
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32 - 0.5;
  });
  const length = Math.hypot(...raw) || 1;
  return raw.map((value) => value / length);
}

/** FNV-1a, 32 bits. */
function hash(text: string): string {
  let value = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) value = Math.imul(value ^ text.charCodeAt(at), 0x01000193);
  return (value >>> 0).toString(16).padStart(8, "0");
}

const countOf = (body: JsonObject): number => Math.min(128, Math.max(1, numberOf(body["n"]) ?? 1));
const listOf = (value: Json | undefined): readonly Json[] => (Array.isArray(value) ? value : []);
const objectOf = (value: Json | undefined): JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? value : {};
const numberOf = (value: Json | undefined): number | undefined =>
  typeof value === "number" && value > 0 ? Math.floor(value) : undefined;
