export { sideDoorsOf } from "./domain/side-doors.ts";
export { facadeRoutes } from "./http/routes.ts";
export { createIngress, type IngressOptions, type IngressService } from "./service.ts";
export { spoolDirectory } from "./spool-directory.ts";
