export { createIngress, type IngressOptions, type IngressService, spoolDirectory } from "./service.ts";
