export type { ProviderLoader } from "./providers/registry.ts";
export type { ProviderKind, ProviderKinds } from "./providers/provider.ts";
export { ROUTER_SETTINGS } from "./config.ts";
export { createRouter, type Router, type RouterOptions } from "./service.ts";
