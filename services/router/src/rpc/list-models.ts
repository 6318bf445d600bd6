import { createHash } from "node:crypto";
import { toJsonString } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import { router } from "@weir/contracts";
import { reachable, type Route } from "../domain/route-table.ts";
import { candidateMessage } from "./result.ts";
import type { Routing } from "./routes.ts";

/** The list is made once for each table: it only changes with it. */
export function listModelsRpc(routing: Routing) {
  let madeFor: readonly Route[] | undefined;
  let made: router.ListModelsResponse | undefined;
  return (): router.ListModelsResponse => {
    const listed = routing.listed();
    if (made === undefined || madeFor !== listed) {
      made = responseOf(listed);
      madeFor = listed;
    }
    return made;
  };
}

function responseOf(listed: readonly Route[]): router.ListModelsResponse {
  const models = listed.map((route) => ({
    id: route.model,
    candidates:
      // Accounts of one provider differ in nothing that a caller knows.
      [...reachable(route)].filter(({ account }) => account === 0).map(candidateMessage),
    ...(route.shadow === undefined ? {} : { shadow: route.shadow }),
  }));
  const response = create(router.ListModelsResponseSchema, { models });
  response.version = createHash("sha256")
    .update(toJsonString(router.ListModelsResponseSchema, response))
    .digest("hex")
    .slice(0, 16);
  return response;
}
