/** What providers documentedly say when they refuse or fail, by kind of trouble, and what follows. */
import { providerDialects, type JsonObject, type ProviderDialectName } from "@weir/dialects";
import type { Reason } from "@weir/kernel";
import { expect, it } from "vitest";
import { type Decision, decide } from "../src/domain/error-table.ts";

interface Said {
  readonly wire: ProviderDialectName;
  readonly status: number;
  readonly body: JsonObject;
  readonly headers?: Readonly<Record<string, string>>;
  readonly reason: Reason;
  readonly follows: Decision;
  readonly retryAfterMs?: number;
  readonly code?: string;
}

const retryInfo = { "@type": "type.googleapis.com/google.rpc.RetryInfo", retryDelay: "34.5s" };
const perDay = {
  "@type": "type.googleapis.com/google.rpc.QuotaFailure",
  violations: [{ quotaId: "GenerateRequestsPerDayPerProjectPerModel" }],
};
const aws = (type: string) => ({ "x-amzn-errortype": type });

const TROUBLE: Readonly<Record<string, Said>> = {
  "Azure, throttled": {
    wire: "openai-chat",
    status: 429,
    body: {
      error: { code: "429", message: "Requests to the ChatCompletions_Create Operation have exceeded the rate limit." },
    },
    headers: { "retry-after-ms": "20500", "retry-after": "21" },
    reason: "provider_rate_limited",
    follows: "next",
    retryAfterMs: 20_500,
  },
  "Azure, a key that is wrong": {
    wire: "openai-chat",
    status: 401,
    body: { error: { code: "401", message: "Access denied due to invalid subscription key or wrong API endpoint." } },
    reason: "provider_auth",
    follows: "give-up",
  },
  "Azure, a token that has expired": {
    wire: "openai-chat",
    status: 401,
    body: { statusCode: 401, message: "Unauthorized. Access token is missing, invalid, audience is incorrect" },
    reason: "provider_auth",
    follows: "give-up",
  },
  "Azure, no such deployment": {
    wire: "openai-chat",
    status: 404,
    body: { error: { code: "DeploymentNotFound", message: "The API deployment for this resource does not exist." } },
    reason: "provider_rejected",
    follows: "give-up",
    code: "DeploymentNotFound",
  },
  "Azure, too long": {
    wire: "openai-chat",
    status: 400,
    body: {
      error: { code: "context_length_exceeded", message: "This model's maximum context length is 8192 tokens." },
    },
    reason: "provider_rejected",
    follows: "give-up",
    code: "context_length_exceeded",
  },
  "Azure, filtered": {
    wire: "openai-chat",
    status: 400,
    body: {
      error: { code: "content_filter", innererror: { code: "ResponsibleAIPolicyViolation" }, message: "filtered" },
    },
    reason: "provider_rejected",
    follows: "give-up",
    code: "content_filter",
  },
  "Azure, overloaded": {
    wire: "openai-chat",
    status: 503,
    body: {
      error: { code: "ServiceUnavailable", message: "The service is temporarily unable to process your request." },
    },
    reason: "provider_overloaded",
    follows: "next",
  },
  "Vertex, throttled, with the delay in the body": {
    wire: "gemini-generate",
    status: 429,
    body: { error: { code: 429, status: "RESOURCE_EXHAUSTED", message: "Resource exhausted.", details: [retryInfo] } },
    reason: "provider_rate_limited",
    follows: "next",
    retryAfterMs: 34_500,
  },
  "Vertex, the day's quota": {
    wire: "gemini-generate",
    status: 429,
    body: {
      error: { code: 429, status: "RESOURCE_EXHAUSTED", message: "Quota exceeded.", details: [perDay, retryInfo] },
    },
    reason: "provider_quota",
    follows: "elsewhere",
  },
  "Vertex, not allowed": {
    wire: "gemini-generate",
    status: 403,
    body: {
      error: { code: 403, status: "PERMISSION_DENIED", message: "Permission 'aiplatform.endpoints.predict' denied" },
    },
    reason: "provider_auth",
    follows: "give-up",
  },
  "Vertex, too long": {
    wire: "gemini-generate",
    status: 400,
    body: { error: { code: 400, status: "INVALID_ARGUMENT", message: "The input token count exceeds the maximum" } },
    reason: "provider_rejected",
    follows: "give-up",
  },
  "Vertex, overloaded": {
    wire: "gemini-generate",
    status: 503,
    body: { error: { code: 503, status: "UNAVAILABLE", message: "The model is overloaded." } },
    reason: "provider_overloaded",
    follows: "next",
  },
  "Claude on Vertex, throttled in Google's words": {
    wire: "anthropic-messages",
    status: 429,
    body: {
      error: { code: 429, status: "RESOURCE_EXHAUSTED", message: "Quota exceeded for base model anthropic-claude." },
    },
    reason: "provider_rate_limited",
    follows: "next",
  },
  "Claude on Vertex, overloaded": {
    wire: "anthropic-messages",
    status: 529,
    body: { type: "error", error: { type: "overloaded_error", message: "Overloaded" } },
    reason: "provider_overloaded",
    follows: "next",
  },
  "Bedrock, throttled": {
    wire: "bedrock-converse",
    status: 429,
    body: { message: "Too many requests, please wait before trying again." },
    headers: aws("ThrottlingException"),
    reason: "provider_rate_limited",
    follows: "next",
  },
  "Bedrock, the day's tokens": {
    wire: "bedrock-converse",
    status: 429,
    body: { message: "Too many tokens per day, please wait before trying again." },
    headers: aws("ThrottlingException"),
    reason: "provider_quota",
    follows: "elsewhere",
  },
  "Bedrock, too long": {
    wire: "bedrock-converse",
    status: 400,
    body: { message: "The model returned the following errors: Input is too long for requested model." },
    headers: aws("ValidationException"),
    reason: "provider_rejected",
    follows: "give-up",
    code: "context_length_exceeded",
  },
  "Bedrock, expired keys": {
    wire: "bedrock-converse",
    status: 403,
    body: { message: "The security token included in the request is expired" },
    headers: aws("ExpiredTokenException"),
    reason: "provider_auth",
    follows: "give-up",
  },
  "Bedrock, a model that starts": {
    wire: "bedrock-converse",
    status: 429,
    body: { message: "Model is not ready for inference." },
    headers: aws("ModelNotReadyException"),
    reason: "provider_overloaded",
    follows: "next",
  },
  "Mistral, throttled": {
    wire: "mistral-chat",
    status: 429,
    body: { object: "error", message: "Requests rate limit exceeded", type: "rate_limited", code: "1300" },
    reason: "provider_rate_limited",
    follows: "next",
  },
  "Mistral, no capacity": {
    wire: "mistral-chat",
    status: 429,
    body: {
      object: "error",
      message: "Service tier capacity exceeded",
      type: "service_tier_capacity_exceeded",
      code: "3505",
    },
    reason: "provider_overloaded",
    follows: "next",
  },
  "Mistral, too long": {
    wire: "mistral-chat",
    status: 400,
    body: { object: "error", message: "Prompt contains 40000 tokens", type: "context_length_exceeded", code: "3051" },
    reason: "provider_rejected",
    follows: "give-up",
  },
  "Cohere, throttled": {
    wire: "cohere-chat",
    status: 429,
    body: { message: "Please wait and try again later" },
    headers: { "retry-after": "3" },
    reason: "provider_rate_limited",
    follows: "next",
    retryAfterMs: 3_000,
  },
  "Cohere, the trial's calls": {
    wire: "cohere-chat",
    status: 429,
    body: { message: "You are using a Trial key, which is limited to 1000 API calls / month." },
    reason: "provider_quota",
    follows: "elsewhere",
  },
  "Cohere, too long": {
    wire: "cohere-chat",
    status: 400,
    body: { message: "too many tokens: size limit exceeded by 12 tokens." },
    reason: "provider_rejected",
    follows: "give-up",
    code: "context_length_exceeded",
  },
  "TGI, its queue is full": {
    wire: "openai-chat",
    status: 429,
    body: { error: "Model is overloaded", error_type: "overloaded" },
    reason: "provider_overloaded",
    follows: "next",
  },
  "TGI, too long": {
    wire: "openai-chat",
    status: 422,
    body: {
      error: "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096",
      error_type: "validation",
    },
    reason: "provider_rejected",
    follows: "give-up",
  },
};

it.each(Object.entries(TROUBLE))(
  "%s",
  (_, { wire, status, body, headers = {}, reason, follows, retryAfterMs, code }) => {
    const { error, code: told } = providerDialects[wire].parseError(status, body, (name) => headers[name]);
    expect(error.reason).toBe(reason);
    expect(decide(error.reason)).toBe(follows);
    if (retryAfterMs !== undefined) expect(error.retryAfterMs).toBe(retryAfterMs);
    if (code !== undefined) expect(told).toBe(code);
  },
);
