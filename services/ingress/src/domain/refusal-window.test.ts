import { expect, test } from "vitest";
import type { Refusal } from "./record.ts";
import { RefusalWindow, SINGLY_PER_WINDOW } from "./refusal-window.ts";

const refusal = (some: Partial<Refusal> = {}): Refusal => ({
  requestId: "r",
  atMs: 0,
  organizationId: "o",
  workspaceId: "w",
  projectId: "p",
  keyId: "k",
  route: "POST /v1/chat/completions",
  model: "m",
  reason: "rate_limited",
  rule: "limit",
  count: 1,
  ...some,
});

test("every refusal is written or counted, and counting starts above ten a window and key", () => {
  const window = new RefusalWindow();
  const singly = Array.from({ length: 100 }, () => window.add(refusal())).filter((written) => written !== undefined);
  expect(singly).toHaveLength(SINGLY_PER_WINDOW);
  expect(window.add(refusal({ keyId: "another" }))).toBeDefined();
  window.add(refusal({ reason: "budget_exceeded" }));
  const aggregates = window.take();
  expect(aggregates.map(({ reason, count }) => [reason, count])).toEqual([
    ["rate_limited", 90],
    ["budget_exceeded", 1],
  ]);
  expect(window.take()).toEqual([]);
  expect(window.add(refusal())).toBeDefined();
});
