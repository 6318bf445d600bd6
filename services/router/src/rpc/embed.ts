import type { HandlerContext } from "@connectrpc/connect";
import type { router } from "@weir/contracts";
import { completeCached } from "../flows/cached.ts";
import { embed, type Embedded } from "../flows/embed.ts";
import { callOf, contextOf, embedInputOf, embedMessage } from "./convert.ts";
import { answerMessage, resultMessage } from "./result.ts";
import type { Routing } from "./routes.ts";

export function embedRpc(routing: Routing) {
  return async (request: router.EmbedRequest, context: HandlerContext): Promise<router.EmbedResponse> => {
    const call = callOf(request.call);
    const input = embedInputOf(call);
    const { targets, caching } = routing.choose(call, input, false);
    const limits = contextOf(context, routing.flow.clock);
    const run = () => embed(routing.flow, call, input, limits, targets);
    const { result, output } = await (caching === undefined ? run() : completeCached(caching, limits.signal, run));
    return {
      $typeName: "weir.router.v1.EmbedResponse",
      result: resultMessage(result),
      output: outputMessage(output),
    };
  };
}

function outputMessage(output: Embedded["output"]): router.EmbedResponse["output"] {
  switch (output.kind) {
    case "raw":
      return { case: "raw", value: answerMessage(output.answer) };
    case "typed":
      return { case: "embed", value: embedMessage(output.response) };
    case "none":
      return { case: undefined };
  }
}
