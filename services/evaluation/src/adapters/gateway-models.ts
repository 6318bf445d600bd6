/** Models through GatewayService with a key of evaluation's own: its rules, limits and budgets hold, and each call is in the audit log. */
import type { CallOptions, Client } from "@connectrpc/connect";
import { ingress } from "@weir/contracts";
import { type Secret, WeirError } from "@weir/kernel";
import { fromConnectError, type Peers } from "@weir/mesh";
import type { AskOptions, Models } from "../ports.ts";
import { chatToWire, responseFromWire } from "./chat-wire.ts";

/** Of the requests that evaluation makes itself: they are not judged in their turn. */
export const EVALUATION_TAG = "weir-evaluation";

const WITHIN_MS = 180_000;

export const noModels = (unusable: string): Models => {
  const refuse = (): Promise<never> => Promise.reject(new WeirError("invalid_request", unusable));
  return { unusable, chat: refuse, embed: refuse };
};

export function gatewayModels(peers: Peers, key: Secret): Models {
  // When it is first asked: a mesh that asks no models need not say where they are.
  let found: Client<typeof ingress.GatewayService> | undefined;
  const client = () => (found ??= peers.client(ingress.GatewayService));
  const optionsOf = ({ idempotencyKey, signal }: AskOptions): CallOptions => ({
    headers: { authorization: `Bearer ${key.reveal()}`, "idempotency-key": idempotencyKey },
    timeoutMs: WITHIN_MS,
    signal,
  });
  const tagsOf = ({ purpose }: AskOptions) => ({ [EVALUATION_TAG]: purpose });
  return {
    unusable: undefined,
    async chat(request, options) {
      const asked = { chat: chatToWire(request), tags: tagsOf(options) };
      const { chat, receipt } = await told(() => client().createChat(asked, optionsOf(options)));
      if (chat === undefined)
        throw new WeirError("provider_bad_response", "The model was asked, and nothing came back.");
      return { response: responseFromWire(chat), requestId: idOf(receipt) };
    },
    async embed(model, dimensions, texts, options) {
      const embed = { model, inputs: [...texts], ...(dimensions === 0 ? {} : { dimensions }) };
      const asked = { embed, tags: tagsOf(options) };
      const { embed: answer, receipt } = await told(() => client().createEmbedding(asked, optionsOf(options)));
      const vectors = answer?.embeddings.map(({ values }) => values) ?? [];
      if (vectors.length !== texts.length)
        throw new WeirError("provider_bad_response", "Another number of embeddings came back than was asked for.");
      return { vectors, requestId: idOf(receipt) };
    },
  };
}

/** Of an answer that was kept from an earlier call: that call's. */
const idOf = (receipt: ingress.Receipt | undefined): string => receipt?.replayOf || receipt?.requestId || "";

async function told<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw fromConnectError(error);
  }
}
