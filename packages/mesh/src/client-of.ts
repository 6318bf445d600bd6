import type { DescMessage, DescMethod, DescService, Message, MessageInitShape } from "@bufbuild/protobuf";
import type { CallOptions, Client } from "@connectrpc/connect";

type Init = MessageInitShape<DescMessage>;

export interface MethodMaker {
  readonly unary: (desc: DescMethod) => (input: Init, options?: CallOptions) => Promise<Message>;
  readonly stream: (desc: DescMethod) => (input: Init, options?: CallOptions) => AsyncIterable<Message>;
}

/** A Client of the service, one function a method. @throws TypeError for a service with streams from clients, which Weir has not. */
export function clientOf<S extends DescService>(service: S, make: MethodMaker): Client<S> {
  const client: Record<string, unknown> = {};
  for (const desc of service.methods) {
    if (desc.methodKind === "unary") client[desc.localName] = make.unary(desc);
    else if (desc.methodKind === "server_streaming") client[desc.localName] = make.stream(desc);
    else throw new TypeError(`${desc.toString()}: streams from clients are not spoken`);
  }
  return client as Client<S>;
}
