export * from "./gen/weir/common/v1/chat_pb.js";
export * from "./gen/weir/common/v1/common_pb.js";
export * from "./gen/weir/common/v1/cost_pb.js";
