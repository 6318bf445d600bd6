export {
  type Batch,
  type BatchHandler,
  type Bus,
  BusUnavailableError,
  type GiveUp,
  type SubscribeOptions,
  type Subscription,
} from "./bus.ts";
export { deadLetter, type DeadLetter, type DeadLetters, failureName } from "./dead-letters.ts";
export { FRAME_KIND, type Frame } from "./frame.ts";
export { decodeFrames, encodeFrames } from "./frames.ts";
export { jetStreamBus, type JetStreamBusOptions } from "./jetstream-bus.ts";
export { jetStreamDeadLetters, type JetStreamDeadLettersOptions } from "./jetstream-dead-letters.ts";
export { type EventStream, jetStreamEvents } from "./jetstream-events.ts";
export { jetStreamKeys, type SharedKeys } from "./jetstream-keys.ts";
export { jetStreamObjects, type ObjectBucket } from "./jetstream-objects.ts";
export { memoryBus, type MemoryBusOptions } from "./memory-bus.ts";
export { natsQuestions, type Questions } from "./nats-questions.ts";
export type { DeadEpoch, OpenIntent, UnsettledOutcome } from "./recovery.ts";
export { type RelayState, watchRelay } from "./relay-watch.ts";
export { type ProducerKey, producerKey } from "./producer-key.ts";
export { type Relay, type RelayOptions, startRelay } from "./relay.ts";
export { type SegmentFiles, systemFiles } from "./segment-files.ts";
export { openSpool, type Spool, type SpoolOptions } from "./spool.ts";
export { sqliteDeadLetters } from "./sqlite-dead-letters.ts";
