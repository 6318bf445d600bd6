export * from "./gen/weir/ingress/v1/gateway_pb.js";
export * from "./gen/weir/ingress/v1/kept_answer_pb.js";
