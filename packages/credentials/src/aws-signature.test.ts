import { describe, expect, it } from "vitest";
import { type AwsRequest, signAws } from "./aws-signature.ts";

/** Of AWS's published test suite for Signature Version 4 (aws-sig-v4-test-suite), and of the example in its documentation. */
const KEYS = {
  accessKeyId: "AKIDEXAMPLE",
  secretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
  sessionToken: "",
};
const AT_MS = Date.UTC(2015, 7, 30, 12, 36, 0);
const host = "example.amazonaws.com";
const form = { host, "content-type": "application/x-www-form-urlencoded" };

const VECTORS: [name: string, request: Partial<AwsRequest>, signature: string][] = [
  ["get-vanilla", {}, "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"],
  ["post-vanilla", { method: "POST" }, "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"],
  [
    "get-vanilla-query-order-key-case",
    { path: "/?Param2=value2&Param1=value1" },
    "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
  ],
  [
    "get-header-value-trim",
    { headers: { host, "my-header1": " value1", "my-header2": ' "a   b   c"' } },
    "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
  ],
  [
    "post-x-www-form-urlencoded",
    { method: "POST", headers: form, body: "Param1=value1" },
    "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
  ],
];

describe("a signature", () => {
  it.each(VECTORS)("is that of the published %s", (_, request, signature) => {
    const whole = { method: "GET", path: "/", headers: { host }, body: "", ...request };
    const { authorization, ...rest } = signAws(whole, KEYS, { region: "us-east-1", service: "service" }, AT_MS);
    expect(authorization).toContain(`Signature=${signature}`);
    expect(authorization).toContain("Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request");
    expect(rest).toEqual({ "x-amz-date": "20150830T123600Z" });
  });

  it("is that of the documented request for users", () => {
    const request = {
      method: "GET",
      path: "/?Action=ListUsers&Version=2010-05-08",
      headers: { host: "iam.amazonaws.com", "content-type": "application/x-www-form-urlencoded; charset=utf-8" },
      body: "",
    };
    expect(signAws(request, KEYS, { region: "us-east-1", service: "iam" }, AT_MS)["authorization"]).toBe(
      "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, SignedHeaders=content-type;host;x-amz-date, Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7",
    );
  });

  it("holds the token of temporary keys, and an encoded path once more encoded", () => {
    const signed = (path: string, sessionToken = "t") =>
      signAws(
        { method: "POST", path, headers: { host }, body: "{}" },
        { ...KEYS, sessionToken },
        { region: "us-east-1", service: "bedrock" },
        AT_MS,
      );
    const one = signed("/model/a%3A0/converse");
    expect(one["x-amz-security-token"]).toBe("t");
    expect(one["authorization"]).toContain("SignedHeaders=host;x-amz-date;x-amz-security-token");
    expect(one).not.toEqual(signed("/model/a:0/converse"));
    expect(one).not.toEqual(signed("/model/a%3A0/converse", "other"));
  });
});
