import { readFileSync } from "node:fs";
import type { JsonObject } from "@weir/dialects";
import { bearerAuthorizer } from "../adapters/authorizers.ts";
import { googleFile, googleToken } from "../adapters/google-token.ts";
import type { Wire } from "../domain/wire.ts";
import { type Account, type Endpoint, type ProviderKinds, required, standardOutputCaps } from "./provider.ts";

/** "europe-west1", and what is larger than a region. */
const LOCATION = /^(?:[a-z]+-[a-z]+\d{1,2}|global|us|eu)$/;
const ANTHROPIC_VERSION = "vertex-2023-10-16";

const locationOf = ({ setting, region }: Account): string =>
  setting("location") || (LOCATION.test(region) ? region : "global");

/** https://cloud.google.com/vertex-ai/generative-ai/docs/learn/locations */
function originOf(location: string): string {
  if (location === "global") return "https://aiplatform.googleapis.com";
  if (location === "us" || location === "eu") return `https://aiplatform.${location}.rep.googleapis.com`;
  return `https://${location}-aiplatform.googleapis.com`;
}

/** A credentials file: the setting (by a `file:` reference, say), else where Google's own libraries look. @throws Error */
function credentialsOf({ name, setting, env }: Account): JsonObject | undefined {
  const path = env["GOOGLE_APPLICATION_CREDENTIALS"] ?? "";
  try {
    const text = setting("credentials") || (path === "" ? "" : readFileSync(path, "utf8"));
    return text === "" ? undefined : googleFile(text);
  } catch (cause) {
    throw new Error(`provider "${name}": ${cause instanceof Error ? cause.message : "no credentials"}`, { cause });
  }
}

function projectOf(account: Account): string {
  const { setting, env } = account;
  const named = setting("project") || env["GOOGLE_CLOUD_PROJECT"] || "";
  if (named !== "") return named;
  const own = credentialsOf(account)?.["project_id"];
  return required(account, typeof own === "string" ? own : "", "settings.project");
}

const isClaude = (model: string): boolean => model.startsWith("claude");
/** "meta/llama-3.3-70b-instruct-maas": of the model garden, which speaks OpenAI's chat. */
const isOfGarden = (model: string): boolean => model.includes("/");
const isEmbedder = (model: string): boolean => /embedding/.test(model);

function wiresOf(model: string): readonly Wire[] {
  if (isOfGarden(model)) return ["openai-chat"];
  if (isClaude(model)) return ["anthropic-messages"];
  return isEmbedder(model) ? ["vertex-embeddings"] : ["gemini-generate"];
}

/** Below the location. */
function methodOf(model: string, wire: Wire, stream: boolean): string {
  if (wire === "openai-chat") return "/endpoints/openapi/chat/completions";
  const name = encodeURIComponent(model);
  if (wire === "anthropic-messages")
    return `/publishers/anthropic/models/${name}:${stream ? "streamRawPredict" : "rawPredict"}`;
  if (wire === "vertex-embeddings") return `/publishers/google/models/${name}:predict`;
  return `/publishers/google/models/${name}:${stream ? "streamGenerateContent?alt=sse" : "generateContent"}`;
}

/**
 * Google's Vertex AI: Gemini, Claude in Anthropic's words (https://docs.anthropic.com/en/api/claude-on-vertex-ai), others in OpenAI's. Who
 * asks is a service account, or the machine's; with an api_key (express mode) it is that.
 */
export const kinds: ProviderKinds = {
  vertex: {
    baseUrl: (account) => `${originOf(locationOf(account))}/v1`,
    settings: { project: "text", location: "text", credentials: "secret" },
    wires: wiresOf,
    priceBook: "google",
    endpoint(target): Endpoint {
      const { model, wire, stream, apiKey, setting } = target;
      const method = methodOf(model, wire, stream);
      const express = apiKey !== "" && setting("project") === "";
      const place = express ? "" : `/projects/${projectOf(target)}/locations/${locationOf(target)}`;
      return { path: place + method, headers: apiKey === "" ? [] : [["x-goog-api-key", apiKey]] };
    },
    authorize(account, { http, clock }) {
      if (account.apiKey !== "") return undefined;
      const google = {
        file: credentialsOf(account),
        metadataHost: account.env["GCE_METADATA_HOST"] ?? "metadata.google.internal",
      };
      return bearerAuthorizer((nowMs) => googleToken(google, http, nowMs), clock);
    },
    forwards: ["anthropic-beta"],
    quirks: {
      outputCaps: { ...standardOutputCaps, "openai-chat": ["max_tokens"] },
      asksForUsage: true,
      splice: (wire) =>
        wire === "anthropic-messages"
          ? { model: undefined, anthropic_version: JSON.stringify(ANTHROPIC_VERSION) }
          : undefined,
      adapt(body, wire) {
        if (wire !== "anthropic-messages") return body;
        const { model: _, ...rest } = body;
        return { ...rest, anthropic_version: ANTHROPIC_VERSION };
      },
    },
  },
};
