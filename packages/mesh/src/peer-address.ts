import { createContextKey, createContextValues, type ContextValues, type HandlerContext } from "@connectrpc/connect";
import { CallContext } from "./call-context.ts";

const PEER = createContextKey("", { description: "the address of a call's connection" });

/** For calls that connect-node serves. */
export const peerValues = (socket: { readonly remoteAddress?: string | undefined }): ContextValues =>
  createContextValues().set(PEER, socket.remoteAddress ?? "");

/** Whose connection a call came by: nothing that the caller says. "" for a call within this process. */
export const peerAddressOf = (context: HandlerContext): string =>
  context instanceof CallContext ? context.peerAddress : context.values.get(PEER);
