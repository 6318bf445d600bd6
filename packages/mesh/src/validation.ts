import { createValidator, violationsToProto } from "@bufbuild/protovalidate";
import type { ConnectError } from "@connectrpc/connect";
import { WeirError } from "@weir/kernel";
import { toConnectError } from "./error-codec.ts";
import type { Check } from "./served.ts";

/** Checks requests against the protovalidate rules of their contracts. Costs several microseconds a message: for services that strangers call. */
export function createCheck(): Check {
  const validator = createValidator();
  return (schema, request) => {
    const result = validator.validate(schema, request);
    if (result.kind === "valid") return;
    // The rules themselves are broken: our bug, not the caller's.
    if (result.kind === "error") throw result.error;
    const param = result.violations[0]?.field
      .map((part) => ("name" in part ? part.name : ""))
      .filter(Boolean)
      .join(".");
    const error: ConnectError = toConnectError(new WeirError("invalid_request", result.error.message, { param }));
    const [value, desc] = violationsToProto(result.violations);
    error.details.push({ desc, value });
    throw error;
  };
}
