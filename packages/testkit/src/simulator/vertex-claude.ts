import type { SimulatedDialect } from "./answer.ts";
import { anthropicMessages } from "./anthropic-messages.ts";

/** Claude on Vertex AI: the model and whether it streams are in the path, the version is in the body, and nothing else may be. */
export const vertexClaude: SimulatedDialect = {
  ...anthropicMessages,
  ask: (body, path) => ({
    ...anthropicMessages.ask(body, path),
    model: decodeURIComponent(/models\/([^:/]+)/.exec(path)?.[1] ?? ""),
    stream: path.includes(":streamRawPredict"),
  }),
  refuses(body) {
    const wrong = body["anthropic_version"] !== "vertex-2023-10-16" ? "anthropic_version: Field required" : undefined;
    const extra = body["model"] === undefined ? wrong : "model: Extra inputs are not permitted";
    return extra === undefined
      ? undefined
      : { status: 400, body: { type: "error", error: { type: "invalid_request_error", message: extra } } };
  },
};
