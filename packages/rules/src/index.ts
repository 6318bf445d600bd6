export * from "./addresses.ts";
export * from "./attributes.ts";
export * from "./decide.ts";
export * from "./patterns.ts";
export * from "./rules.ts";
export * from "./tags.ts";
