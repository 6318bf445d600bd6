export { banner } from "./banner.ts";
export { StartError } from "./data-folder.ts";
export { type Standalone, type StandaloneOptions, startStandalone } from "./service.ts";
