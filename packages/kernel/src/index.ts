export { type Clock, systemClock } from "./clock.ts";
export { catalogue, type CatalogueEntry, isReason, type Reason, WeirError, type WeirErrorOptions } from "./errors.ts";
export { uuidv7 } from "./ids.ts";
export { isTimeZone } from "./time-zone.ts";
export { dollarsOf, nanos, type Nanos, nanosOfDollars } from "./money.ts";
export { Secret } from "./secret.ts";
