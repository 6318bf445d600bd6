export type * from "./core.ts";
export type * from "./dialect.ts";
export type { SseEvent } from "./sse.ts";
