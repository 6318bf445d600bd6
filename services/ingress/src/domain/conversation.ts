import { WeirError } from "@weir/kernel";

export const CONVERSATION = "x-weir-conversation";
const MAX_CHARACTERS = 256;

/**
 * What keeps a request to one target, on routes with the strategy `sticky`: its client's own word, else the run that it is a step of.
 * @throws WeirError invalid_request
 */
export function conversationOf(said: string | undefined, runId: string): string {
  if (said === undefined || said === "") return runId;
  if (said.length <= MAX_CHARACTERS) return said;
  throw new WeirError("invalid_request", `${CONVERSATION} has at most ${MAX_CHARACTERS} characters.`, {
    param: CONVERSATION,
  });
}
