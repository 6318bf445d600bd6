/** One server-sent event. `event` is "" where the stream names none; `data` lines are joined by "\n". */
export interface SseEvent {
  readonly event: string;
  readonly data: string;
}
