import { attributeTable } from "@weir/rules";
import { expect, test } from "vitest";
import type { AttributePolicy, BudgetOnPath, KeyPolicy, LimitOnPath } from "./key-policy.ts";
import { anyBudgetOf, limitFactsOf, mayTakeBudget, pathOf } from "./path.ts";
import { NO_RULES } from "./rules.ts";

const budget = (id: number, place: BudgetOnPath["place"]): BudgetOnPath => ({
  id,
  place,
  placeName: "x",
  unit: "nano-usd",
  period: "month",
  hard: true,
});
const limit = (id: number, place: LimitOnPath["place"]): LimitOnPath => ({
  id,
  place,
  placeName: "x",
  per: "workspace",
  unit: "tokens",
  amount: 1,
  windowMs: 1000,
  burst: 0,
  failClosed: false,
});
const attribute = (kind: "end-user" | "tag", name: string, value: string, id: number): AttributePolicy => ({
  id: `a${id}`,
  kind,
  name,
  value,
  rules: NO_RULES,
  budgets: [budget(id, kind)],
  limits: [limit(id, kind)],
  hadBudget: false,
});
const key = (attributes: readonly AttributePolicy[]): KeyPolicy => ({
  keyId: "k",
  hash: new Uint8Array(32),
  retired: [],
  ancestors: [],
  guards: [],
  endUser: "",
  keyRules: NO_RULES,
  organizationId: "o",
  workspaceId: "w",
  workspace: "w",
  projectId: "p",
  name: "k",
  expiresAtMs: undefined,
  scopes: ["inference"],
  operator: false,
  payloads: "hashes",
  rules: NO_RULES,
  budgets: [budget(1, "workspace")],
  limits: [],
  hadBudget: false,
  levels: [],
  attributes: attributeTable(attributes),
});
const ann = attribute("end-user", "ann", "", 10);
const search = attribute("tag", "team", "search", 11);
const chat = attribute("tag", "use", "chat", 12);
const ids = (of: readonly { readonly id: number }[]) => of.map(({ id }) => id);

test("a request takes from its key's path, its end user's and its tags' budgets and limits", () => {
  const path = pathOf(key([ann, search, chat]), { endUser: "ann", tags: { use: "chat", team: "search" } });
  expect(ids(path.budgets)).toEqual([1, 10, 11, 12]);
  expect(ids(path.limits)).toEqual([10, 11, 12]);
});

test("other end users, other values and names that objects have by themselves take nothing more", () => {
  const holder = key([ann, search, attribute("tag", "constructor", "x", 13)]);
  const own = pathOf(holder, { endUser: "bob", tags: { team: "sales" } });
  expect(ids(own.budgets)).toEqual([1]);
  expect(own).toBe(holder);
  expect(pathOf(holder, { endUser: "", tags: {} })).toBe(holder);
});

test("a key without attributes is its own path", () => {
  const holder = key([]);
  expect(holder.attributes).toBeUndefined();
  expect(pathOf(holder, { endUser: "ann", tags: { team: "search" } })).toBe(holder);
});

test("the same attributes give the same path, whatever order they were named in; a changed key another one", () => {
  const holder = key([search, chat]);
  const one = pathOf(holder, { endUser: "", tags: { use: "chat", team: "search" } });
  expect(pathOf(holder, { endUser: "bob", tags: { team: "search", use: "chat" } })).toBe(one);
  expect(pathOf(key([search, chat]), { endUser: "", tags: { use: "chat", team: "search" } })).not.toBe(one);
});

test("when the attributes are not known any more, everything that a request might have taken counts", () => {
  expect(ids(anyBudgetOf(key([ann, search])))).toEqual([1, 10, 11]);
  const bare = { ...key([search]), budgets: [] };
  expect([mayTakeBudget(bare), limitFactsOf(bare).tokens]).toEqual([true, true]);
  const none = { ...key([]), budgets: [] };
  expect([mayTakeBudget(none), limitFactsOf(none).tokens]).toEqual([false, false]);
});
