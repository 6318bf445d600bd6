export * from "./gen/weir/evaluation/v1/dead_letters_pb.js";
export * from "./gen/weir/evaluation/v1/evaluation_pb.js";
export * from "./gen/weir/evaluation/v1/online_pb.js";
export * from "./gen/weir/evaluation/v1/run_pb.js";
