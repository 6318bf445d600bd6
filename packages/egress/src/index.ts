export { isPublic } from "./addresses.ts";
export { EgressError, guardedAsk, guardedGet, guardedPost, requireReachable } from "./guarded.ts";
