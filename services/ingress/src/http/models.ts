import type { HttpHandler, HttpRequest } from "@weir/http1";
import { dollarsOf, WeirError } from "@weir/kernel";
import type { Grant } from "../domain/grant.ts";
import { factsFor, type ModelFacts } from "../domain/model-facts.ts";
import type { Identify } from "../flows/identify.ts";
import type { Models } from "../ports.ts";
import { errorResponse, publicError } from "./error-response.ts";
import { identityHeaders } from "./headers.ts";
import { type ClientIp, clientRequestIdOf, newRequestId, secretOf } from "./read-request.ts";

/** Both APIs have `GET /v1/models`; Anthropic's SDK always says its version. */
const isAnthropic = (request: HttpRequest): boolean => request.header("anthropic-version") !== undefined;

/** Beside what the APIs themselves say of a model; SDKs pass over what they do not know. What is unknown is left out. */
const more = ({ contextWindow, maxOutputTokens, providers, regions, capabilities, price }: ModelFacts) => ({
  ...(contextWindow === 0 ? {} : { context_window: contextWindow }),
  ...(maxOutputTokens === 0 ? {} : { max_output_tokens: maxOutputTokens }),
  providers,
  ...(regions.length === 0 ? {} : { regions }),
  capabilities,
  ...(price === undefined
    ? {}
    : {
        price: {
          input_usd_per_mtok: dollarsOf(price.inputNanosPerMtok),
          output_usd_per_mtok: dollarsOf(price.outputNanosPerMtok),
        },
      }),
});

const openaiModel = (model: ModelFacts) => ({
  id: model.id,
  object: "model",
  created: 0,
  owned_by: "weir",
  ...more(model),
});
const anthropicModel = (model: ModelFacts) => ({
  type: "model",
  id: model.id,
  display_name: model.id,
  created_at: "1970-01-01T00:00:00Z",
  ...more(model),
});

function listOf(request: HttpRequest, models: readonly ModelFacts[]): unknown {
  if (!isAnthropic(request)) return { object: "list", data: models.map(openaiModel) };
  const data = models.map(anthropicModel);
  return { data, has_more: false, first_id: data[0]?.id ?? null, last_id: data.at(-1)?.id ?? null };
}

function oneOf(request: HttpRequest, models: readonly ModelFacts[], id: string): unknown {
  const model = models.find((listed) => listed.id === id);
  if (model === undefined)
    throw new WeirError("model_not_found", "There is no such model for this key.", { param: "model" });
  return isAnthropic(request) ? anthropicModel(model) : openaiModel(model);
}

const ROUTE = "GET /v1/models";

/** `GET /v1/models` and `GET /v1/models/{id}`: those that the key may use. */
export function listModels(ports: {
  identify: Identify;
  clientIp: ClientIp;
  models: Models;
  nowMs: () => number;
}): HttpHandler {
  const allowed = (grant: Grant): readonly ModelFacts[] => factsFor(ports.models.list(), grant, ports.nowMs());
  return (request, reply) => {
    const requestId = newRequestId(ports.nowMs());
    const identity = identityHeaders(requestId, clientRequestIdOf(request));
    try {
      const models = allowed(ports.identify(secretOf(request), ports.clientIp(request), ROUTE));
      const id = request.path.slice("/v1/models/".length);
      const body = id === "" ? listOf(request, models) : oneOf(request, models, decoded(id));
      reply.send(200, `content-type: application/json\r\n${identity}`, JSON.stringify(body));
    } catch (failure) {
      const error = publicError(failure);
      const { status, headers, body } = errorResponse(
        error,
        isAnthropic(request) ? "anthropic-messages" : "openai-chat",
        requestId,
      );
      reply.send(status, headers + identity, body);
    }
  };
}

function decoded(id: string): string {
  try {
    return decodeURIComponent(id);
  } catch {
    throw new WeirError("invalid_request", "The model's name in the path is not valid percent-encoding.", {
      param: "model",
    });
  }
}
