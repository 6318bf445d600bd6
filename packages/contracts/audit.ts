export * from "./gen/weir/audit/v1/audit_pb.js";
export * from "./gen/weir/audit/v1/cost_pb.js";
export * from "./gen/weir/audit/v1/erasure_pb.js";
export * from "./gen/weir/audit/v1/guardrails_pb.js";
export * from "./gen/weir/audit/v1/producer_pb.js";
export * from "./gen/weir/audit/v1/record_pb.js";
export * from "./gen/weir/audit/v1/proof_pb.js";
export * from "./gen/weir/audit/v1/retention_pb.js";
