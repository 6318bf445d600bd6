/** https://ai.google.dev/api/generate-content */
import type { Exchange } from "../exchange.ts";
import { making } from "./making.ts";

const make = making("gemini-generate", "gemini", { contents: [{ role: "user", parts: [{ text: "hello" }] }] });

const USAGE = {
  promptTokenCount: 100,
  candidatesTokenCount: 20,
  totalTokenCount: 190,
  cachedContentTokenCount: 64,
  toolUsePromptTokenCount: 40,
  thoughtsTokenCount: 30,
  promptTokensDetails: [{ modality: "TEXT", tokenCount: 100 }],
};
const answer = (
  parts: readonly object[] | undefined,
  finishReason: string | undefined = "STOP",
  more: object = {},
) => ({
  candidates: [
    {
      ...(parts === undefined ? {} : { content: { parts, role: "model" } }),
      ...(finishReason === "" ? {} : { finishReason }),
      index: 0,
      ...more,
    },
  ],
  usageMetadata: USAGE,
  modelVersion: "gemini-3-pro-preview",
  responseId: "resp-1",
});
const piece = (parts: readonly object[], more: object = {}) => answer(parts, "", more);
const refused = (code: number, status: string, message: string, details: readonly object[] = []) => ({
  status: code,
  answer: { error: { code, message, status, details } },
});
const call = (name: string, args: object | undefined, more: object = {}, id: object = {}) => ({
  functionCall: { ...id, name, ...(args === undefined ? {} : { args }) },
  ...more,
});

const CODE = [
  { executableCode: { language: "PYTHON", code: "print(6*7)" } },
  { codeExecutionResult: { outcome: "OUTCOME_OK", output: "42\n" } },
];
const GROUNDING = {
  groundingMetadata: {
    webSearchQueries: ["rain"],
    searchEntryPoint: { renderedContent: "<div/>" },
    groundingChunks: [{ web: { uri: "https://a.example", title: "a" } }],
    groundingSupports: [{ segment: { endIndex: 4, text: "Rain" }, groundingChunkIndices: [0] }],
  },
};

export const gemini: readonly Exchange[] = [
  make("sealed thoughts and parallel calls", {
    answer: answer([
      { text: "**Plan**\n", thought: true },
      { text: "I look.", thoughtSignature: "Eu8=" },
      call("get_weather", { city: "Zürich", days: 3 }, { thoughtSignature: "EvEB" }),
      call("now", undefined),
      call("now", {}, {}, { id: "own-id" }),
    ]),
  }),
  make("sealed thoughts and parallel calls, streamed", {
    answer: [
      piece([{ text: "**Plan**\n", thought: true }]),
      piece([{ text: "more", thought: true }]),
      piece([{ text: "I lo" }]),
      piece([{ text: "ok." }]),
      piece([call("get_weather", { city: "Zürich", text: 'a "b" \\ c' }, { thoughtSignature: "EvEB" })]),
      piece([call("now", {}), call("now", { again: true })]),
      answer([{ text: "", thoughtSignature: "Eu8=" }]),
    ],
  }),
  make("calls in the last chunk", { answer: [answer([call("now", {}, { thoughtSignature: "EvEB" })])] }),
  make("a seal with nothing else, and a thought without text", {
    answer: [
      piece([{ text: "", thought: true, thoughtSignature: "Eu8=" }]),
      piece([{ thoughtSignature: "Ev8=" }]),
      answer([{ text: "Yes." }]),
    ],
  }),
  make("answers of several candidates", {
    answer: {
      ...answer([{ text: "one" }]),
      candidates: [
        { content: { parts: [{ text: "one" }], role: "model" }, finishReason: "STOP", index: 0 },
        { content: { parts: [{ text: "two" }], role: "model" }, finishReason: "MAX_TOKENS", index: 1 },
      ],
    },
  }),
  make("sound and its counts", {
    answer: {
      ...answer([{ inlineData: { mimeType: "audio/L16;rate=24000", data: "AAAA" } }]),
      usageMetadata: { ...USAGE, candidatesTokensDetails: [{ modality: "AUDIO", tokenCount: 20 }] },
    },
  }),
  make("code that it ran", { answer: answer([{ text: "Let me see. " }, ...CODE, { text: "42." }]) }),
  make("code that it ran, streamed", {
    answer: [
      piece([{ text: "Let me see. " }]),
      piece([CODE[0] ?? {}]),
      piece([CODE[1] ?? {}, { text: "42" }]),
      answer([{ text: "." }]),
    ],
  }),
  make("grounding", { answer: answer([{ text: "Rain" }, { text: "." }], "STOP", GROUNDING) }),
  make("grounding, streamed", {
    answer: [
      piece([{ text: "Rain" }]),
      piece([{ text: "." }], GROUNDING),
      answer([{ text: "" }], "STOP", { urlContextMetadata: { urlMetadata: [] } }),
    ],
  }),
  make("a picture", {
    answer: answer([
      { text: "Here." },
      { inlineData: { mimeType: "image/png", data: "iVBORw0KGgo=" }, thoughtSignature: "Eu8=" },
    ]),
  }),
  make("a picture, streamed", {
    answer: [piece([{ inlineData: { mimeType: "image/png", data: "iVBORw0KGgo=" } }]), answer([{ text: "Here." }])],
  }),
  make("log probabilities", {
    answer: answer([{ text: "Hi" }], "STOP", {
      avgLogprobs: -0.1,
      logprobsResult: {
        chosenCandidates: [{ token: "Hi", tokenId: 1, logProbability: -0.1 }],
        topCandidates: [{ candidates: [{ token: "Hi", tokenId: 1, logProbability: -0.1 }] }],
      },
    }),
  }),
  make("all spent on thoughts", { answer: answer(undefined, "MAX_TOKENS") }),
  make("all spent on thoughts, content without parts", {
    answer: answer(undefined, "MAX_TOKENS", { content: { role: "model" } }),
  }),
  make("cut by its cap, streamed", { answer: [piece([{ text: "Once" }]), answer([{ text: " upon" }], "MAX_TOKENS")] }),
  make("filtered", {
    answer: answer(undefined, "SAFETY", {
      safetyRatings: [{ category: "HARM_CATEGORY_HARASSMENT", probability: "HIGH", blocked: true }],
    }),
  }),
  make("filtered in its middle", { answer: [piece([{ text: "Once" }]), answer(undefined, "PROHIBITED_CONTENT")] }),
  make("a prompt that is blocked", {
    answer: {
      promptFeedback: { blockReason: "PROHIBITED_CONTENT" },
      usageMetadata: { promptTokenCount: 9, totalTokenCount: 9 },
      modelVersion: "gemini-2.5-flash",
    },
  }),
  make("a prompt that is blocked, streamed", {
    answer: [
      {
        promptFeedback: { blockReason: "SAFETY" },
        usageMetadata: { promptTokenCount: 9, totalTokenCount: 9 },
        modelVersion: "gemini-2.5-flash",
      },
    ],
  }),
  make("a call that it could not write", {
    answer: answer(undefined, "MALFORMED_FUNCTION_CALL", { finishMessage: "Malformed function call: print(…" }),
  }),
  make("nothing", { answer: answer([{ text: "" }]) }),
  make("usage that grows, and one chunk without it", {
    answer: [
      { ...piece([{ text: "a" }]), usageMetadata: { promptTokenCount: 4, totalTokenCount: 4 } },
      { candidates: [{ content: { parts: [{ text: "b" }], role: "model" } }] },
      {
        ...answer([{ text: "c" }]),
        usageMetadata: { promptTokenCount: 4, candidatesTokenCount: 3, totalTokenCount: 7 },
      },
    ],
  }),
  make("content after a finish reason", {
    answer: [
      answer([{ text: "a" }]),
      answer([{ text: "b" }]),
      { usageMetadata: { ...USAGE, candidatesTokenCount: 21 } },
    ],
  }),
  make("an error in its middle", {
    answer: [
      piece([{ text: "Once" }]),
      { error: { code: 503, message: "The model is overloaded.", status: "UNAVAILABLE" } },
    ],
  }),
  make("an error before it began", {
    means: 503,
    answer: [{ error: { code: 503, message: "The model is overloaded.", status: "UNAVAILABLE" } }],
  }),
  make("400", refused(400, "INVALID_ARGUMENT", "* GenerateContentRequest.contents: contents is not specified")),
  make("400 in a list", {
    status: 400,
    headers: { "content-type": "application/json; charset=UTF-8" },
    answer: JSON.stringify([
      { error: { code: 400, message: "Unable to process input image.", status: "INVALID_ARGUMENT" } },
    ]),
  }),
  make("400 for a key", {
    ...refused(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", [
      { "@type": "type.googleapis.com/google.rpc.ErrorInfo", reason: "API_KEY_INVALID", domain: "googleapis.com" },
    ]),
    shows: 502,
  }),
  make("404", refused(404, "NOT_FOUND", "models/gemini-9 is not found for API version v1beta.")),
  make("429", {
    ...refused(429, "RESOURCE_EXHAUSTED", "Resource exhausted. Please try again later.", [
      { "@type": "type.googleapis.com/google.rpc.RetryInfo", retryDelay: "1s" },
    ]),
  }),
  make("500", refused(500, "INTERNAL", "An internal error has occurred.")),
  make("503", refused(503, "UNAVAILABLE", "The model is overloaded. Please try again later.")),
];
