import type { MessageInitShape } from "@bufbuild/protobuf";
import { policy } from "@weir/contracts";
import { WeirError } from "@weir/kernel";
import type { BudgetUnit, LimitSubject, LimitUnit, Scope } from "../domain/key-policy.ts";
import type { AskedLimit } from "../domain/limit-terms.ts";
import type { BudgetPeriod } from "../domain/periods.ts";
import type { BudgetSubject } from "../domain/subjects.ts";
import type { AskedPlace } from "../flows/admin-places.ts";
import type {
  AttributeRow,
  BudgetRow,
  KeyRow,
  LimitRow,
  OrganizationRow,
  PlaceOfRow,
  ProjectRow,
  WorkspaceRow,
} from "../ports.ts";
import { PAYLOADS, rulesToWire } from "./convert-rules.ts";
import { words } from "./words.ts";

export const SCOPES = words<Scope, policy.Scope>({
  inference: policy.Scope.INFERENCE,
  read: policy.Scope.READ,
  admin: policy.Scope.ADMIN,
  billing: policy.Scope.BILLING,
  "organization-admin": policy.Scope.ORGANIZATION_ADMIN,
});

export const BUDGET_UNITS = words<BudgetUnit, policy.BudgetUnit>({
  "nano-usd": policy.BudgetUnit.NANO_USD,
  tokens: policy.BudgetUnit.TOKENS,
  requests: policy.BudgetUnit.REQUESTS,
});

export const BUDGET_PERIODS = words<BudgetPeriod, policy.BudgetPeriod>({
  day: policy.BudgetPeriod.DAY,
  week: policy.BudgetPeriod.WEEK,
  month: policy.BudgetPeriod.MONTH,
  total: policy.BudgetPeriod.TOTAL,
});

export const BUDGET_SUBJECTS = words<BudgetSubject, policy.BudgetSubject>({
  none: policy.BudgetSubject.NONE,
  run: policy.BudgetSubject.RUN,
  "end-user": policy.BudgetSubject.END_USER,
});

export const budgetSubject = (per: policy.BudgetSubject): BudgetSubject =>
  per === policy.BudgetSubject.UNSPECIFIED ? "none" : BUDGET_SUBJECTS.fromWire(per, "per");

export const LIMIT_SUBJECTS = words<LimitSubject, policy.LimitSubject>({
  key: policy.LimitSubject.KEY,
  project: policy.LimitSubject.PROJECT,
  workspace: policy.LimitSubject.WORKSPACE,
  "end-user": policy.LimitSubject.END_USER,
  "client-ip": policy.LimitSubject.CLIENT_IP,
  model: policy.LimitSubject.MODEL,
  provider: policy.LimitSubject.PROVIDER,
});

export const LIMIT_UNITS = words<LimitUnit, policy.LimitUnit>({
  requests: policy.LimitUnit.REQUESTS,
  tokens: policy.LimitUnit.TOKENS,
  "input-tokens": policy.LimitUnit.INPUT_TOKENS,
  "output-tokens": policy.LimitUnit.OUTPUT_TOKENS,
  concurrency: policy.LimitUnit.CONCURRENCY,
});

/** @throws WeirError */
export function askedPlace(message: policy.Place | undefined): AskedPlace {
  const place = message?.place;
  if (place?.case === undefined || place.value === "") {
    const message = "Name an organization, a workspace, a project, a key, an end user or a tag.";
    throw new WeirError("invalid_request", message, { param: "place" });
  }
  switch (place.case) {
    case "endUser":
      return { kind: "end-user", workspace: place.value.workspace, name: place.value.name, value: "" };
    case "tag":
      return { kind: "tag", ...pick(place.value) };
    case "organization":
    case "workspace":
    case "project":
    case "key":
      return { kind: place.case, name: place.value };
  }
}

const pick = ({ workspace, name, value }: policy.TagPlace) => ({ workspace, name, value });

/** End users and tags by their names, everything else by its id. */
export function placeToWire({ kind, id, attribute }: PlaceOfRow): MessageInitShape<typeof policy.PlaceSchema> {
  const { workspaceId: workspace = "", name = "", value = "" } = attribute ?? {};
  switch (kind) {
    case "end-user":
      return { place: { case: "endUser", value: { workspace, name } } };
    case "tag":
      return { place: { case: "tag", value: { workspace, name, value } } };
    case "organization":
    case "workspace":
    case "project":
    case "key":
      return { place: { case: kind, value: id } };
  }
}

export const attributeToWire = (row: AttributeRow) => ({
  place: placeToWire({ kind: row.kind, id: row.id, attribute: row }),
  rules: rulesToWire(row.rules),
});

export const organizationToWire = ({ id, name, rules }: OrganizationRow) => ({ id, name, rules: rulesToWire(rules) });

export const workspaceToWire = (row: WorkspaceRow) => ({
  id: row.id,
  organizationId: row.organizationId,
  name: row.name,
  payloadChoice: PAYLOADS.toWire(row.payloads),
  rules: rulesToWire(row.rules),
  timeZone: row.timeZone ?? "UTC",
});

export const projectToWire = (row: ProjectRow) => ({
  id: row.id,
  workspaceId: row.workspaceId,
  name: row.name,
  rules: rulesToWire(row.rules),
});

export const keyToWire = (row: KeyRow) => ({
  id: row.id,
  workspaceId: row.workspaceId,
  projectId: row.projectId,
  name: row.name,
  prefix: row.prefix,
  createdAtMs: BigInt(row.createdAtMs),
  expiresAtMs: BigInt(row.expiresAtMs ?? 0),
  revokedAtMs: BigInt(row.revokedAtMs ?? 0),
  scopes: row.scopes.map(SCOPES.toWire),
  rules: rulesToWire(row.rules),
  lastUsedAtMs: BigInt(row.lastUsedAtMs ?? 0),
  parentKeyId: row.ancestors.at(-1) ?? "",
  endUser: row.endUser,
  retiredTexts: row.retired.map(({ prefix, expiresAtMs }) => ({ prefix, expiresAtMs: BigInt(expiresAtMs) })),
});

export const budgetToWire = (row: BudgetRow) => ({
  id: String(row.id),
  place: placeToWire(row.place),
  unit: BUDGET_UNITS.toWire(row.unit),
  period: BUDGET_PERIODS.toWire(row.period),
  limit: row.limit,
  hard: row.hard,
  spent: row.spent,
  held: row.held,
  periodStartMs: BigInt(row.periodStartMs),
  periodEndMs: BigInt(row.periodEndMs ?? 0),
  closed: row.closed,
  per: BUDGET_SUBJECTS.toWire(row.per),
  maxIdenticalCalls: row.maxIdenticalCalls ?? 0,
  subjects: BigInt(row.subjects),
  timeZone: row.timeZone,
});

export const limitToWire = (row: LimitRow) => ({
  id: String(row.id),
  place: placeToWire(row.place),
  per: LIMIT_SUBJECTS.toWire(row.per),
  unit: LIMIT_UNITS.toWire(row.unit),
  amount: BigInt(row.amount),
  windowMs: BigInt(row.windowMs),
  burst: BigInt(row.burst),
  failClosed: row.failClosed,
  only: row.only ?? "",
  ...(row.queue === undefined ? {} : { queue: { ...row.queue, weights: { ...row.queue.weights } } }),
});

/** @throws WeirError */
export const askedLimit = (request: policy.PutLimitRequest): AskedLimit => ({
  per: LIMIT_SUBJECTS.fromWire(request.per, "per"),
  unit: LIMIT_UNITS.fromWire(request.unit, "unit"),
  amount: Number(request.amount),
  windowMs: Number(request.windowMs),
  burst: request.burst === undefined ? undefined : Number(request.burst),
  failClosed: request.failClosed,
  only: request.only,
  queue: request.queue === undefined ? undefined : queueTerms(request.queue),
});

const queueTerms = ({ maxWaitMs, maxLength, weights }: policy.Queue): AskedLimit["queue"] => ({
  maxWaitMs,
  maxLength,
  weights: { ...weights },
});
