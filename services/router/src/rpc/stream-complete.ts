import type { HandlerContext } from "@connectrpc/connect";
import type { router } from "@weir/contracts";
import type { CallContext } from "../flows/attempts.ts";
import { streamCached } from "../flows/cached.ts";
import { stream, type StreamMessage } from "../flows/stream.ts";
import type { Shown } from "../flows/stream-side.ts";
import { eventMessage } from "./chat-response.ts";
import { callOf, chatInputOf, contextOf } from "./convert.ts";
import {
  answerMessage,
  attemptMessage,
  cacheMessage,
  droppedMessage,
  headerMessage,
  priceMessage,
  resultMessage,
  servedMessage,
} from "./result.ts";
import type { Routing } from "./routes.ts";

type Message = router.StreamCompleteResponse;

export function streamCompleteRpc(routing: Routing) {
  return async function* (
    request: router.StreamCompleteRequest,
    context: HandlerContext,
  ): AsyncGenerator<Message, void, undefined> {
    const call = callOf(request.call);
    const input = chatInputOf(call, true);
    const { targets, caching } = routing.choose(call, input, true);
    // Ended by its caller's going away, or by `Cancel`: then the caller still hears how it ended.
    const running = new AbortController();
    const { signal } = context;
    const gone = (): void => running.abort(signal.reason);
    signal.addEventListener("abort", gone, { once: true });
    if (signal.aborted) gone();
    const streaming: CallContext = {
      ...contextOf(context, routing.flow.clock),
      signal: running.signal,
      heard: () => !signal.aborted,
    };
    routing.streams.set(call.requestId, running);
    try {
      const run = () => stream(routing.flow, call, input, streaming, targets);
      const messages = caching === undefined ? run() : streamCached(caching, streaming.signal, run);
      for await (const message of messages) {
        if (message.kind === "shown") yield* shownMessages(message.shown, message.outputBytes);
        else yield messageOf(edgeMessage(message), message.outputBytes);
      }
    } finally {
      if (routing.streams.get(call.requestId) === running) routing.streams.delete(call.requestId);
      signal.removeEventListener("abort", gone);
    }
  };
}

function* shownMessages(shown: readonly Shown[], outputBytes: number): Generator<Message> {
  // Frames that came together leave together.
  const frames: Uint8Array[] = [];
  for (const one of shown) {
    if (one.kind === "frame") frames.push(one.bytes);
    else yield messageOf({ case: "event", value: eventMessage(one.event) }, outputBytes);
  }
  const [first] = frames;
  if (first !== undefined)
    yield messageOf({ case: "frame", value: frames.length === 1 ? first : Buffer.concat(frames) }, outputBytes);
}

const messageOf = (message: Message["message"], outputBytes: number): Message => ({
  $typeName: "weir.router.v1.StreamCompleteResponse",
  message,
  outputBytes,
});

function edgeMessage(message: Exclude<StreamMessage, { kind: "shown" }>): Message["message"] {
  if (message.kind === "start") {
    const start: router.StreamStart = {
      $typeName: "weir.router.v1.StreamStart",
      served: servedMessage(message.served),
      dropped: droppedMessage(message.dropped),
      headers: message.headers.map(headerMessage),
      inputTokensEstimate: message.inputTokensEstimate,
      failedAttempts: message.failures.map(attemptMessage),
    };
    if (message.price !== undefined) start.price = priceMessage(message.price);
    if (message.cache !== undefined) start.cache = cacheMessage(message.cache);
    return { case: "start", value: start };
  }
  const end: router.StreamEnd = {
    $typeName: "weir.router.v1.StreamEnd",
    result: resultMessage(message.result),
    terminal: message.terminal,
  };
  if (message.failure !== undefined) end.failure = answerMessage(message.failure);
  return { case: "end", value: end };
}
