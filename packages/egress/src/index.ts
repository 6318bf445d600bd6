export { isPublic } from "./addresses.ts";
export { EgressError, guardedGet, guardedPost, requireReachable } from "./guarded.ts";
