import { camel, keepFields, NAME } from "./gemini-generate-parts.ts";
import { traitsOf } from "./gemini-generate-models.ts";
import { jsonSchemaOf } from "./gemini-generate-schema.ts";
import type { ChatRequest, JsonObject, Reasoning, ResponseFormat } from "./core.ts";
import { fieldsFor, input, isObject, names } from "./shape.ts";

const KNOWN = names(
  "maxOutputTokens temperature topP topK stopSequences candidateCount seed presencePenalty frequencyPenalty",
  "responseLogprobs logprobs thinkingConfig",
);
const FORMAT_KNOWN = new Set([...KNOWN, "responseMimeType", "responseSchema", "responseJsonSchema"]);
const MAX_STOPS = 5;
const MAX_SEED = 2 ** 31 - 1;
const LEVELS: Readonly<Record<string, string>> = {
  none: "MINIMAL",
  minimal: "MINIMAL",
  low: "LOW",
  medium: "MEDIUM",
  high: "HIGH",
  xhigh: "HIGH",
  max: "HIGH",
};
/** As Google's own OpenAI-compatible face has it: https://ai.google.dev/gemini-api/docs/openai#thinking. */
const BUDGETS: Readonly<Record<string, number>> = {
  none: 0,
  minimal: 1024,
  low: 1024,
  medium: 8192,
  high: 24_576,
  xhigh: 24_576,
  max: 24_576,
};

type ConfigFields = Omit<Partial<ChatRequest>, "model" | "messages" | "stream" | "extra">;

/** What `generationConfig` says: in the core's words, what is left over, and how it was spelled. */
export interface ParsedConfig {
  readonly request: ConfigFields;
  readonly rest: JsonObject | undefined;
  readonly spelling: JsonObject;
}

export function parseConfig(value: JsonObject): ParsedConfig {
  const config = camel(value);
  const at = (name: string): string => `generationConfig.${name}`;
  const number = (name: string): number | undefined => input.optionalNumber(config[name], at(name));
  const integer = (name: string, least?: number): number | undefined =>
    input.optionalInteger(config[name], at(name), least);
  const spelling: JsonObject = {};
  const responseFormat = parseFormat(config, spelling);
  const known = responseFormat === undefined ? KNOWN : FORMAT_KNOWN;
  const request: ConfigFields = {
    maxOutputTokens: integer("maxOutputTokens", 0),
    temperature: number("temperature"),
    topP: number("topP"),
    topK: number("topK"),
    stop: input
      .optionalList(config.stopSequences, at("stopSequences"))
      ?.map((stop, index) => input.string(stop, at(`stopSequences[${index}]`))),
    n: integer("candidateCount", 1),
    seed: integer("seed"),
    presencePenalty: number("presencePenalty"),
    frequencyPenalty: number("frequencyPenalty"),
    logprobs: input.optionalBoolean(config.responseLogprobs, at("responseLogprobs")),
    topLogprobs: integer("logprobs", 0),
    reasoning: parseThinking(input.optionalObject(config.thinkingConfig, at("thinkingConfig")), spelling),
    responseFormat,
  };
  return { request, rest: keepFields(config, known), spelling };
}

function parseFormat(config: JsonObject, spelling: JsonObject): ResponseFormat | undefined {
  const type = input.optionalString(config.responseMimeType, "generationConfig.responseMimeType");
  const json = input.optionalObject(config.responseJsonSchema, "generationConfig.responseJsonSchema");
  const schema = input.optionalObject(config.responseSchema, "generationConfig.responseSchema");
  if (type === "application/json" && json !== undefined) return { type: "schema", schema: json };
  if (type === "application/json" && schema !== undefined) {
    spelling.responseSchema = schema;
    return { type: "schema", schema: jsonSchemaOf(schema) };
  }
  if (json !== undefined || schema !== undefined) return undefined;
  if (type === "application/json") return { type: "json" };
  // Other types (text/x.enum) are Gemini's alone.
  return type === "text/plain" ? { type: "text" } : undefined;
}

/** A budget of -1 leaves it to the model, 0 is none. */
function parseThinking(value: JsonObject | undefined, spelling: JsonObject): Reasoning | undefined {
  if (value === undefined) return undefined;
  spelling.thinkingConfig = value;
  const config = camel(value);
  const path = "generationConfig.thinkingConfig";
  const reasoning: Reasoning = {};
  const include = input.optionalBoolean(config.includeThoughts, `${path}.includeThoughts`);
  if (include !== undefined) reasoning.includeThoughts = include;
  const level = input.optionalString(config.thinkingLevel, `${path}.thinkingLevel`)?.toLowerCase();
  if (level !== undefined && Object.hasOwn(LEVELS, level)) reasoning.effort = level;
  const budget = input.optionalInteger(config.thinkingBudget, `${path}.thinkingBudget`, -1);
  if (budget === 0) reasoning.effort = "none";
  else if (budget !== undefined && budget > 0) reasoning.budgetTokens = budget;
  return reasoning;
}

/** `generationConfig`, empty where there is nothing to say. */
export function renderConfig(request: ChatRequest, dropped: string[]): JsonObject {
  const own = fieldsFor(NAME, request.extra)?.generationConfig;
  const config: JsonObject = { ...(isObject(own) ? own : {}) };
  const set = (name: string, value: number | boolean | undefined): void => {
    if (value !== undefined) config[name] = value;
  };
  set("maxOutputTokens", request.maxOutputTokens);
  set("temperature", request.temperature);
  set("topP", request.topP);
  set("topK", request.topK);
  set("candidateCount", request.n);
  if (request.seed !== undefined && Math.abs(request.seed) > MAX_SEED) dropped.push("seed");
  else set("seed", request.seed);
  set("presencePenalty", request.presencePenalty);
  set("frequencyPenalty", request.frequencyPenalty);
  set("responseLogprobs", request.logprobs);
  set("logprobs", request.topLogprobs);
  const stop = request.stop?.filter((sequence) => sequence !== "").slice(0, MAX_STOPS);
  if (stop !== undefined && stop.length < (request.stop?.length ?? 0)) dropped.push("stop");
  if (stop !== undefined) config.stopSequences = stop;
  if (request.responseFormat !== undefined) renderFormat(request, request.responseFormat, config, dropped);
  if (request.reasoning !== undefined) {
    const thinking = renderThinking(request, request.reasoning, dropped);
    if (thinking !== undefined) config.thinkingConfig = thinking;
  }
  return config;
}

function renderFormat(request: ChatRequest, format: ResponseFormat, config: JsonObject, dropped: string[]): void {
  config.responseMimeType = format.type === "text" ? "text/plain" : "application/json";
  if (format.type !== "schema") return;
  const spelled = request.extra?.dialect === NAME ? request.extra.spelling?.responseSchema : undefined;
  if (isObject(spelled)) config.responseSchema = spelled;
  else config.responseJsonSchema = withoutDialect(format.schema);
  if (format.name !== undefined) dropped.push("response_format.name");
  if (format.description !== undefined) dropped.push("response_format.description");
  if (format.strict === false) dropped.push("response_format.strict");
}

/** `$schema` names the kind of a schema, which Google takes for an unknown member. */
export function withoutDialect(schema: JsonObject): JsonObject {
  if (schema.$schema === undefined) return schema;
  const { $schema: _, ...rest } = schema;
  return rest;
}

function renderThinking(request: ChatRequest, reasoning: Reasoning, dropped: string[]): JsonObject | undefined {
  const spelled = request.extra?.dialect === NAME ? request.extra.spelling?.thinkingConfig : undefined;
  if (isObject(spelled)) return spelled;
  const { effort, budgetTokens, includeThoughts } = reasoning;
  const config: JsonObject = {};
  if (includeThoughts !== undefined) config.includeThoughts = includeThoughts;
  if (effort !== undefined && !Object.hasOwn(LEVELS, effort)) dropped.push("reasoning.effort");
  else if (effort !== undefined && traitsOf(request.model).levels) config.thinkingLevel = LEVELS[effort] ?? "HIGH";
  else if (effort !== undefined) config.thinkingBudget = budgetTokens ?? BUDGETS[effort] ?? -1;
  else if (budgetTokens !== undefined) config.thinkingBudget = budgetTokens;
  return Object.keys(config).length === 0 ? undefined : config;
}
