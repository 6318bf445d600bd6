import type { HttpHandler } from "@weir/http1";
import type { FacadeDialect } from "../domain/shape.ts";

/** A route of the facade. Whatever is not listed here does not exist. */
export interface FacadeRoute {
  readonly method: "GET" | "POST";
  readonly path: string;
  /** Also every path below it. */
  readonly below: boolean;
  /** What its errors look like. */
  readonly dialect: FacadeDialect;
  /** False only for what tells about this process and not about its traffic's content. */
  readonly needsKey: boolean;
  readonly handle: HttpHandler;
}

export interface FacadeHandlers {
  readonly model: (route: string, dialect: FacadeDialect) => HttpHandler;
  readonly models: HttpHandler;
  /** Health and metrics, by path. */
  readonly pages: ReadonlyMap<string, HttpHandler>;
}

const MODEL_ROUTES: readonly (readonly [path: string, dialect: FacadeDialect])[] = [
  ["/v1/chat/completions", "openai-chat"],
  ["/v1/chat", "openai-chat"],
  ["/v1/responses", "openai-responses"],
  ["/v1/messages", "anthropic-messages"],
  ["/v1/embeddings", "openai-embeddings"],
];

export function facadeRoutes(handlers: FacadeHandlers): FacadeRoute[] {
  const get = (path: string, needsKey: boolean, handle: HttpHandler, below = false): FacadeRoute => ({
    method: "GET",
    path,
    below,
    dialect: "openai-chat",
    needsKey,
    handle,
  });
  return [
    ...MODEL_ROUTES.map(([path, dialect]) => ({
      method: "POST" as const,
      path,
      below: false,
      dialect,
      needsKey: true,
      handle: handlers.model(`POST ${path}`, dialect),
    })),
    get("/v1/models", true, handlers.models, true),
    ...[...handlers.pages].map(([path, handle]) => get(path, false, handle)),
  ];
}
