import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import type { common } from "@weir/contracts";
import { ingress } from "@weir/contracts";
import { WeirError } from "@weir/kernel";
import type { StreamSink } from "../flows/stream.ts";
import { receiptOf, receive, type RpcFlows, told } from "./caller.ts";

type Message = MessageInitShape<typeof ingress.StreamChatResponseSchema>;

/** The flow pushes, the RPC pulls: events wait here, and the flow waits when too many do. */
class EventQueue {
  #events: common.ChatEvent[] = [];
  #over = false;
  #failure: unknown;
  #arrived: (() => void) | undefined;
  #taken: (() => void) | undefined;
  static readonly ROOM = 64;

  push(event: common.ChatEvent): boolean {
    this.#events.push(event);
    this.#arrived?.();
    return this.#events.length < EventQueue.ROOM;
  }

  end(failure?: unknown): void {
    this.#over = true;
    this.#failure = failure;
    this.#arrived?.();
    this.#taken?.();
  }

  drained(): Promise<void> {
    if (this.#over || this.#events.length < EventQueue.ROOM) return Promise.resolve();
    return new Promise((resolve) => {
      this.#taken = resolve;
    });
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<common.ChatEvent> {
    for (;;) {
      const events = this.#events;
      this.#events = [];
      this.#taken?.();
      yield* events;
      if (this.#events.length > 0) continue;
      if (this.#over) {
        if (this.#failure !== undefined) throw this.#failure;
        return;
      }
      await new Promise<void>((resolve) => {
        this.#arrived = resolve;
      });
    }
  }
}

export function streamChat(flows: RpcFlows): ServiceImpl<typeof ingress.GatewayService>["streamChat"] {
  return async function* (request, context): AsyncGenerator<Message> {
    const chat = request.chat;
    if (chat === undefined) throw new WeirError("invalid_request", "The request has no chat.", { param: "chat" });
    const received = receive(flows, context, { case: "chat", value: chat }, true, request.tags);
    const { incoming, trail, gone } = received;
    const queue = new EventQueue();
    const leave = (): void => queue.end();
    context.signal.addEventListener("abort", leave, { once: true });
    let failure: WeirError | undefined;
    const sink: StreamSink<common.ChatEvent> = {
      start: () => undefined,
      frame() {
        throw new Error("a typed call was answered with bytes");
      },
      event: (event) => queue.push(event),
      drained: () => queue.drained(),
      finish: (_terminal, error) => {
        failure = error;
      },
    };
    const running = told(flows, received, async () => {
      await flows.stream(incoming, trail, sink, gone.signal);
      if (failure !== undefined) throw failure;
    }).then(
      () => queue.end(),
      (error: unknown) => queue.end(error),
    );
    try {
      for await (const event of queue) yield { message: { case: "event", value: event } };
      await running;
      if (gone.signal.aborted) return;
      yield { message: { case: "receipt", value: receiptOf(trail) } };
    } finally {
      // The caller may have left in the middle of a yield.
      context.signal.removeEventListener("abort", leave);
      gone.abort();
      await running;
    }
  };
}
