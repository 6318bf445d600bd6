import { expect, test } from "vitest";
import type { BudgetOnPath } from "./key-policy.ts";
import { type BudgetSubject, holdPlace } from "./subjects.ts";

const budget = (id: number, per?: BudgetSubject, maxIdenticalCalls?: number): BudgetOnPath => ({
  id,
  place: "workspace",
  placeName: "w",
  unit: "requests",
  period: "total",
  hard: true,
  per,
  maxIdenticalCalls,
});
const request = { keyId: "k", endUser: "", runId: "", callDigest: "" };
const digest = (text: string) => `#${text}`;

test("a request takes from the budgets of its run and its end user, each its own", () => {
  const budgets = [budget(1), budget(2, "run", 3), budget(3, "end-user"), budget(4, "run")];
  expect(holdPlace(budgets, { ...request, runId: "r", endUser: "ann", callDigest: "c" }, digest)).toEqual({
    keyId: "k",
    budgetIds: [1, 2, 3, 4],
    subjects: ["", "#r", "#ann", "#r"],
    call: { digest: "#c", counted: [1] },
  });
  expect(holdPlace(budgets, { ...request, endUser: "ann", callDigest: "c" }, digest)).toEqual({
    keyId: "k",
    budgetIds: [1, 3],
    subjects: ["", "#ann"],
    call: undefined,
  });
});

test("a request without a run takes nothing from budgets of runs", () => {
  expect(holdPlace([budget(2, "run"), budget(3, "end-user")], request, digest)).toBeUndefined();
  expect(holdPlace([], request, digest)).toBeUndefined();
});

test("where no budget has a subject, the same path gives the same array, whoever asks", () => {
  const budgets = [budget(1), budget(2)];
  const one = holdPlace(budgets, { ...request, runId: "r" }, digest);
  const other = holdPlace(budgets, { ...request, runId: "s" }, digest);
  expect(one).toEqual({ keyId: "k", budgetIds: [1, 2] });
  expect(one?.budgetIds).toBe(other?.budgetIds);
});
