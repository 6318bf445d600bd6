import { Code, ConnectError } from "@connectrpc/connect";
import { common } from "@weir/contracts";
import { catalogue, isReason, WeirError } from "@weir/kernel";
import { describe, expect, it } from "vitest";
import { fromConnectError, toConnectError } from "./error-codec.ts";

const overTheWire = (error: ConnectError): ConnectError => {
  const copy = new ConnectError(error.rawMessage, error.code);
  copy.details = error.details;
  return copy;
};

describe("errors over the wire", () => {
  it("has a number for every reason of the catalogue, and no other", () => {
    const numbers = Object.values(common.ErrorReason).filter((name) => typeof name === "string");
    const reasons = numbers.map((name) => name.toLowerCase()).filter((name) => name !== "unspecified");
    expect(reasons.toSorted()).toEqual(Object.keys(catalogue).toSorted());
  });

  it("brings every reason back", () => {
    for (const reason of Object.keys(catalogue).filter(isReason)) {
      const sent = new WeirError(reason, `about ${reason}`, { retryAfterMs: 7, upstreamStatus: 418, param: "a.b" });
      const error = toConnectError(sent);
      expect(Code[error.code]?.toLowerCase()).toBe(catalogue[reason].rpc.replaceAll("_", ""));
      expect(fromConnectError(overTheWire(error))).toMatchObject({
        reason,
        message: `about ${reason}`,
        retryAfterMs: 7,
        upstreamStatus: 418,
        param: "a.b",
      });
    }
  });

  it("names the unreachable as its caller says, and tells nothing of addresses", () => {
    const error = new ConnectError("no connection: ECONNREFUSED 10.1.2.3", Code.Unavailable);
    expect(fromConnectError(error, "router_unavailable")).toMatchObject({
      reason: "router_unavailable",
      message: "router unavailable",
    });
    expect(fromConnectError(new TypeError("a bug in /srv"))).toMatchObject({
      reason: "internal",
      message: "internal error",
    });
    expect(fromConnectError(new ConnectError("bad field", Code.InvalidArgument))).toMatchObject({
      reason: "invalid_request",
      message: "bad field",
    });
  });

  it("makes a bare internal of anything else", () => {
    for (const thrown of [new RangeError("secret"), "secret", undefined, { secret: 1 }]) {
      const error = toConnectError(thrown);
      expect([error.code, error.rawMessage, error.details]).toEqual([Code.Internal, "internal error", []]);
    }
    const own = new ConnectError("x", Code.Aborted);
    expect(toConnectError(own)).toBe(own);
  });
});
