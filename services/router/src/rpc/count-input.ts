import type { HandlerContext } from "@connectrpc/connect";
import { create } from "@bufbuild/protobuf";
import { common, router } from "@weir/contracts";
import { WeirError } from "@weir/kernel";
import { countInput } from "../flows/count-input.ts";
import { callOf, chatInputOf, embedInputOf } from "./convert.ts";
import type { Routing } from "./routes.ts";

/** A body that nobody can read is counted by nobody: its bytes bound it, and its provider says what is wrong with it. */
export function countInputRpc(routing: Routing) {
  return async (request: router.CountInputRequest, _context: HandlerContext): Promise<router.CountInputResponse> => {
    const call = callOf(request.call);
    const targets = routing.route(call.model).groups.flatMap((group) => group.targets);
    const isEmbed =
      call.input.case === "embed" || (call.input.case === "raw" && call.input.value.dialect === EMBEDDINGS);
    // To read more would hold up those who are served.
    if (call.inputBound > MOST_BYTES) return create(router.CountInputResponseSchema);
    try {
      const input = isEmbed ? embedInputOf(call) : chatInputOf(call, false);
      const inputs = await countInput(routing.flow, call, input, isEmbed ? "embed" : "chat", targets, call.inputBound);
      return create(router.CountInputResponseSchema, { inputs });
    } catch (error) {
      if (error instanceof WeirError && (error.reason === "invalid_request" || error.reason === "unsupported"))
        return create(router.CountInputResponseSchema);
      throw error;
    }
  };
}

const MOST_BYTES = 4_000_000;
const EMBEDDINGS = common.Dialect.OPENAI_EMBEDDINGS;
