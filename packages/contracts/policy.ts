export * from "./gen/weir/policy/v1/admin_pb.js";
export * from "./gen/weir/policy/v1/budgets_pb.js";
export * from "./gen/weir/policy/v1/policy_pb.js";
export * from "./gen/weir/policy/v1/explain_pb.js";
export * from "./gen/weir/policy/v1/limits_pb.js";
export * from "./gen/weir/policy/v1/issuers_pb.js";
export * from "./gen/weir/policy/v1/tokens_pb.js";
export * from "./gen/weir/policy/v1/idempotency_pb.js";
