import { describe, expect, it } from "vitest";
import { catalogue, type Reason } from "@weir/kernel";
import { billingOf } from "./billing.ts";
import { decide, pauseMs } from "./error-table.ts";
import { answeredFailure, shown, transportFailure } from "./failure.ts";
import { WeirError } from "@weir/kernel";

describe("what follows a failed attempt", () => {
  it("is the next candidate only where another may do better", () => {
    const next = Object.keys(catalogue).filter((reason) => decide(reason as Reason) === "next");
    expect(next.sort()).toEqual([
      "overloaded",
      "provider_bad_response",
      "provider_error",
      "provider_overloaded",
      "provider_rate_limited",
      "provider_timeout",
      "provider_unreachable",
      "stream_interrupted",
    ]);
  });

  it("is never a retry of a rejected request or a refused credential", () => {
    for (const reason of ["provider_rejected", "provider_auth", "client_closed"] as const)
      expect(decide(reason)).toBe("give-up");
  });

  it("is another account, where this one's quota is used up", () => {
    expect(decide("provider_quota")).toBe("elsewhere");
  });

  it("waits with full jitter, two seconds at most", () => {
    expect(pauseMs(0, 3)).toBe(0);
    expect(pauseMs(1, 0)).toBe(200);
    expect(pauseMs(1, 9)).toBe(2_000);
  });
});

describe("what a failed attempt may have cost", () => {
  it("is nothing for what was not sent, or refused", () => {
    expect(billingOf({ sent: false, status: 0 })).toBe("nothing");
    expect(billingOf({ sent: true, status: 400 })).toBe("nothing");
    expect(billingOf({ sent: true, status: 500 })).toBe("nothing");
  });

  it("is unknown for what was sent and not answered, or answered by a proxy", () => {
    expect(billingOf({ sent: true, status: 0 })).toBe("unknown");
    expect(billingOf({ sent: true, status: 504 })).toBe("unknown");
    expect(billingOf({ sent: true, status: 200 })).toBe("unknown");
    expect(transportFailure("reset", true).billing).toBe("unknown");
    expect(transportFailure("connect", false).billing).toBe("nothing");
    expect(answeredFailure(new WeirError("provider_error", "x"), 503).billing).toBe("nothing");
  });
});

describe("what a client may see", () => {
  const betrays = (text: string): boolean => text.includes("sk-secret");

  it("is never about Weir's own account", () => {
    const auth = new WeirError("provider_auth", "Incorrect API key provided: sk-secret (org-abc)");
    expect(shown(auth, betrays).message).not.toContain("sk-");
    expect(shown(new WeirError("provider_error", "boom sk-secret"), betrays).message).not.toContain("sk-");
  });

  it("is the provider's words without the names of Weir's accounts", () => {
    const said = 'Rate limit in organization org-AbCdEf123456 (see "user_preferences")';
    expect(shown(new WeirError("provider_rate_limited", said), betrays).message).toBe(
      'Rate limit in organization [hidden] (see "user_preferences")',
    );
  });

  it.each([
    "User: arn:aws:sts::123456789012:assumed-role/weir/i-0abc may not invoke",
    "no arn:aws:bedrock:eu-central-1:123456789012:application-inference-profile/abc",
    "Publisher Model `projects/acme-prod-1/locations/us-central1/publishers/google/models/x` was not found",
    "projects/123456789/locations/eu",
  ])("names no account with a cloud: %s", (said) => {
    expect(shown(new WeirError("provider_rejected", said), betrays).message).not.toMatch(/\d{9}|acme/);
  });

  it("is otherwise the provider's own word", () => {
    const error = new WeirError("provider_rejected", "max_tokens is too large", { param: "max_tokens" });
    expect(shown(error, betrays)).toBe(error);
  });
});
