import { headers, type MsgHdrs } from "@nats-io/transport-node";
import type { Batch } from "./bus.ts";

/** What every part of the JetStream bus has to know, with nothing left open. */
export interface StreamSettings {
  readonly stream: string;
  readonly subject: string;
  readonly maxBytes: number;
  readonly maxAgeMs: number;
  readonly replicas: number;
  readonly dedupeWindowMs: number;
  readonly publishTimeoutMs: number;
  readonly ackWaitMs: number;
}

const HEADER = { producer: "Weir-Producer", first: "Weir-First", last: "Weir-Last" } as const;

/** A batch as a message: its frames are the body, the rest is in these. */
export function headersOf({ producer, first, last }: Batch): MsgHdrs {
  const head = headers();
  head.set(HEADER.producer, producer);
  head.set(HEADER.first, String(first));
  head.set(HEADER.last, String(last));
  return head;
}

/** Never throws: a message of somebody else is a batch with an empty producer. */
export function batchOf(head: MsgHdrs | undefined, data: Uint8Array): Batch {
  const value = (name: string): string => head?.get(name) ?? "";
  const number = (name: string): number => Number(value(name)) || 0;
  return { producer: value(HEADER.producer), first: number(HEADER.first), last: number(HEADER.last), data };
}
