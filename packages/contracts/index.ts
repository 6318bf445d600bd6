/** The generated contracts, one namespace per proto package: `router.RouterService`, `policy.Admission`, … */
export * as audit from "./audit.ts";
export * as common from "./common.ts";
export * as evaluation from "./evaluation.ts";
export * as ingress from "./ingress.ts";
export * as policy from "./policy.ts";
export * as router from "./gen/weir/router/v1/router_pb.js";
