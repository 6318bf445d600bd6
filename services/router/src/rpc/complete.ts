import type { HandlerContext } from "@connectrpc/connect";
import type { router } from "@weir/contracts";
import { complete, type Completed } from "../flows/complete.ts";
import { responseMessage } from "./chat-response.ts";
import { callOf, chatInputOf, contextOf } from "./convert.ts";
import { answerMessage, resultMessage } from "./result.ts";
import type { Routing } from "./routes.ts";

export function completeRpc(routing: Routing) {
  return async (request: router.CompleteRequest, context: HandlerContext): Promise<router.CompleteResponse> => {
    const call = callOf(request.call);
    const input = chatInputOf(call, false);
    const targets = routing.choose(call, input, false);
    const { result, output } = await complete(
      routing.flow,
      call,
      input,
      contextOf(context, routing.flow.clock),
      targets,
    );
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
