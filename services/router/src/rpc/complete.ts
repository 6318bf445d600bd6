import type { HandlerContext } from "@connectrpc/connect";
import type { router } from "@weir/contracts";
import { completeCached } from "../flows/cached.ts";
import { complete, type Completed } from "../flows/complete.ts";
import { responseMessage } from "./chat-response.ts";
import { callOf, chatInputOf, contextOf } from "./convert.ts";
import { answerMessage, resultMessage } from "./result.ts";
import type { Routing } from "./routes.ts";

export function completeRpc(routing: Routing) {
  return async (request: router.CompleteRequest, context: HandlerContext): Promise<router.CompleteResponse> => {
    const call = callOf(request.call);
    const input = chatInputOf(call, false);
    const { targets, caching } = routing.choose(call, input, false);
    const limits = contextOf(context, routing.flow.clock);
    const run = () => complete(routing.flow, call, input, limits, targets);
    const { result, output } = await (caching === undefined ? run() : completeCached(caching, limits.signal, run));
    return {
      $typeName: "weir.router.v1.CompleteResponse",
      result: resultMessage(result),
      output: outputMessage(output),
    };
  };
}

function outputMessage(output: Completed["output"]): router.CompleteResponse["output"] {
  switch (output.kind) {
    case "raw":
      return { case: "raw", value: answerMessage(output.answer) };
    case "typed":
      return { case: "chat", value: responseMessage(output.response) };
    case "none":
      return { case: undefined };
  }
}
