import type { JsonObject } from "@weir/dialects";
import { listOf, numberOf, objectOf, stringOf, textIn, wordsOf } from "./answer.ts";

const DIMENSIONS = 8;

/** https://platform.openai.com/docs/api-reference/embeddings */
export function openAiEmbeddings(body: JsonObject, usage: boolean): { answer: JsonObject; tokens: number } {
  const { input } = body;
  const texts = typeof input === "string" ? [input] : listOf(input).map((one) => stringOf(one) || JSON.stringify(one));
  const dimensions = numberOf(body["dimensions"]) ?? DIMENSIONS;
  const data = texts.map((text, index) => {
    const values = vectorOf(text, dimensions);
    const embedding =
      body["encoding_format"] === "base64" ? Buffer.from(Float32Array.from(values).buffer).toString("base64") : values;
    return { object: "embedding", index, embedding };
  });
  const tokens = wordsOf(texts.join(" ")).length;
  const told = usage ? { usage: { prompt_tokens: tokens, total_tokens: tokens } } : {};
  return { answer: { object: "list", data, model: stringOf(body["model"]), ...told }, tokens };
}

/** https://ai.google.dev/api/embeddings, batchEmbedContents */
export function geminiEmbeddings(body: JsonObject): { answer: JsonObject; tokens: number } {
  const requests = listOf(body["requests"]).map(objectOf);
  const texts = requests.map(({ content }) => textIn(objectOf(content)["parts"]));
  const embeddings = texts.map((text, index) => ({
    values: vectorOf(text, numberOf(requests[index]?.["outputDimensionality"]) ?? DIMENSIONS),
  }));
  return { answer: { embeddings }, tokens: wordsOf(texts.join(" ")).length };
}

/** https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api */
export function vertexEmbeddings(body: JsonObject): { answer: JsonObject; tokens: number } {
  const dimensions = numberOf(objectOf(body["parameters"])["outputDimensionality"]) ?? DIMENSIONS;
  const texts = listOf(body["instances"]).map((instance) => stringOf(objectOf(instance)["content"]));
  const predictions = texts.map((text) => ({
    embeddings: { values: vectorOf(text, dimensions), statistics: { token_count: wordsOf(text).length } },
  }));
  return { answer: { predictions }, tokens: wordsOf(texts.join(" ")).length };
}

/** https://docs.cohere.com/reference/embed */
export function cohereEmbeddings(body: JsonObject): { answer: JsonObject; tokens: number } {
  const texts = listOf(body["texts"]).map(stringOf);
  const dimensions = numberOf(body["output_dimension"]) ?? DIMENSIONS;
  const tokens = wordsOf(texts.join(" ")).length;
  const float = texts.map((text) => vectorOf(text, dimensions));
  return {
    answer: { id: "x", texts, embeddings: { float }, meta: { billed_units: { input_tokens: tokens } } },
    tokens,
  };
}

/** The same for the same text, of length one. */
function vectorOf(text: string, dimensions: number): number[] {
  const values = Array.from(
    { length: dimensions },
    (_, index) => ((text.charCodeAt(index % (text.length || 1)) || 1) % 97) + index,
  );
  const length = Math.hypot(...values);
  return values.map((value) => Math.fround(value / length));
}
