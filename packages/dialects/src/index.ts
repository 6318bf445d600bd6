export type * from "./core.ts";
export type * from "./dialect.ts";
export {
  encodeSse,
  EventSplitter,
  MAX_EVENT_BYTES,
  readEvent,
  SseParser,
  type SseEvent,
  type WholeEvents,
} from "./sse.ts";
export { hasAmbiguousKeys, type JsonChanges, spliceJson } from "./json-splice.ts";
export { type EventInspector, SseWatcher } from "./watcher.ts";
