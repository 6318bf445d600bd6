/** What a connection of a server is at. */
export type Phase =
  /** Between requests. */
  | "idle"
  | "head"
  | "body"
  /** A request is with the handler. */
  | "busy"
  /** The last answer is out; what still comes is thrown away until the peer closes, so that it can read that answer. */
  | "lingering"
  | "gone";
