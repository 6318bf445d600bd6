import type { Reason } from "@weir/kernel";
import type { SharedRoom } from "./body-room.ts";
import type { Connection } from "./connection.ts";
import type { CheckHead, Divert, HttpHandler, RenderedError } from "./types.ts";

/** An idle connection may carry a request that has not arrived yet: while draining it is given this long to show it. */
export const IDLE_GRACE_MS = 500;

/** What all connections of a server share. */
export interface ServerShare extends SharedRoom {
  readonly handler: HttpHandler;
  readonly maxHeadBytes: number;
  readonly maxBodyBytes: number;
  readonly headTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly stalledMs: number;
  readonly divert: Divert | undefined;
  readonly checkHead: CheckHead | undefined;
  readonly onBadRequest: (status: number, reason: Reason, message: string) => RenderedError;
  readonly onHandlerError: ((error: unknown) => void) | undefined;
  /** When `fromNowMs` will have passed, on the server's coarse clock. */
  deadlineIn(fromNowMs: number): number;
  readonly draining: boolean;
  /** "date: …\r\n", of this second. */
  readonly dateLine: string;
  flushSoon(connection: Connection): void;
  /** A request's head has been read. */
  begun(): void;
  /** It was answered, refused, or its client left. */
  done(): void;
  left(connection: Connection): void;
}
