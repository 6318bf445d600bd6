import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { type PayloadChoice, type Rules, tagOf } from "@weir/rules";
import { z } from "zod";
import { type ApplyFile, applySchema } from "./apply-schema.ts";
import { completeBudget, completeLimit, completeRules } from "./bounds-schema.ts";
import { readDocument } from "./document.ts";
import { reportIssue } from "./issues.ts";
import { ConfigError, type Path, type Problem, renderPath } from "./problems.ts";
import type { BudgetSeed, LimitSeed } from "./types.ts";

/** What a file wants to be set somewhere. Undefined: it says nothing about it. */
export interface WantedBounds {
  readonly rules: Rules | undefined;
  readonly budgets: readonly BudgetSeed[] | undefined;
  readonly limits: readonly LimitSeed[] | undefined;
}

export interface WantedPlace extends WantedBounds {
  readonly name: string;
}

export interface WantedTag extends WantedPlace {
  readonly value: string;
}

export interface WantedIssuer {
  readonly name: string;
  readonly project: string;
  readonly url: string;
  readonly jwksUrl: string;
  readonly audiences: readonly string[];
  readonly algorithms: readonly string[] | undefined;
  readonly requiredClaims: Readonly<Record<string, string>>;
  readonly endUserClaim: string;
  readonly ttlMs: number;
  readonly scopes: readonly ("inference" | "read")[];
  readonly rules: Rules;
}

export interface WantedWorkspace extends WantedPlace {
  readonly organization: string;
  readonly payloads: PayloadChoice | undefined;
  readonly timeZone: string | undefined;
  readonly projects: readonly WantedPlace[];
  readonly endUsers: readonly WantedPlace[];
  readonly tags: readonly WantedTag[];
  readonly issuers: readonly WantedIssuer[];
  readonly webhook: string | undefined;
}

export interface Wanted {
  readonly organizations: readonly WantedPlace[];
  readonly workspaces: readonly WantedWorkspace[];
}

/** @throws ConfigError with every problem found */
export function readApplyFile(path: string): Wanted {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "unknown error";
    const message = code === "ENOENT" ? "there is no such file" : `cannot be read (${code})`;
    throw new ConfigError([{ path: "", origin: path, message }]);
  }
  return checkApplyFile(text, basename(path));
}

/** The same for a text at hand. */
export function checkApplyFile(text: string, fileName: string): Wanted {
  const document = readDocument(text, fileName);
  if ("problems" in document) throw new ConfigError(document.problems);
  const problems: Problem[] = [];
  const report = (path: Path, message: string): void =>
    void problems.push({ path: renderPath(path), origin: document.originOf(path), message });
  const parsed = z.safeParse(applySchema, document.value ?? {});
  if (!parsed.success) for (const issue of parsed.error.issues) reportIssue(applySchema, issue, report);
  if (!parsed.success || problems.length > 0) throw new ConfigError(problems);
  checkTwice(parsed.data, report);
  if (problems.length > 0) throw new ConfigError(problems);
  return wantedOf(parsed.data);
}

type Report = (path: Path, message: string) => void;
type Place = ApplyFile["organizations"][string];

/** Of a budget and a limit there is one of a kind at a place: the second would overwrite the first, again and again. */
function checkTwice(file: ApplyFile, report: Report): void {
  for (const [path, place] of placesIn(file)) {
    twice(place.budgets ?? [], [...path, "budgets"], report, (budget) => {
      const { unit, period, per } = completeBudget(budget);
      return `${unit} ${period} ${per}`;
    });
    twice(place.limits ?? [], [...path, "limits"], report, (limit) => {
      const { per, unit, windowMs, only = "" } = completeLimit(limit);
      return `${per} ${unit} ${windowMs} ${only}`;
    });
  }
}

function twice<T>(items: readonly T[], path: Path, report: Report, nameOf: (item: T) => string): void {
  const seen = new Set<string>();
  for (const [index, item] of items.entries()) {
    const name = nameOf(item);
    if (seen.has(name)) report([...path, index], "is there already: one of a kind stands at a place");
    seen.add(name);
  }
}

function* placesIn({ organizations, workspaces }: ApplyFile): Generator<[Path, Place]> {
  for (const [name, place] of Object.entries(organizations)) yield [["organizations", name], place];
  for (const [name, workspace] of Object.entries(workspaces)) {
    const path = ["workspaces", name];
    yield [path, workspace];
    for (const group of ["projects", "end_users", "tags"] as const)
      for (const [below, place] of Object.entries(workspace[group])) yield [[...path, group, below], place];
  }
}

const wantedOf = ({ organizations, workspaces }: ApplyFile): Wanted => ({
  organizations: placesOf(organizations),
  workspaces: Object.entries(workspaces).map(([name, from]) => ({
    ...placeOf(name, from),
    organization: from.organization,
    payloads: from.payloads,
    timeZone: from.time_zone,
    projects: placesOf(from.projects),
    endUsers: placesOf(from.end_users),
    tags: Object.entries(from.tags).map(([text, place]) => {
      const tag = tagOf(text) ?? { name: text, value: "" };
      return { ...placeOf(tag.name, place), value: tag.value };
    }),
    issuers: Object.entries(from.issuers).map(([issuer, terms]) => issuerOf(issuer, terms)),
    webhook: from.webhook,
  })),
});

const placesOf = (places: Readonly<Record<string, Place>>): WantedPlace[] =>
  Object.entries(places).map(([name, from]) => placeOf(name, from));

const placeOf = (name: string, from: Place): WantedPlace => ({
  name,
  rules: from.rules && completeRules(from.rules),
  budgets: from.budgets?.map(completeBudget),
  limits: from.limits?.map(completeLimit),
});

const issuerOf = (name: string, from: ApplyFile["workspaces"][string]["issuers"][string]): WantedIssuer => ({
  name,
  project: from.project,
  url: from.url,
  jwksUrl: from.jwks_url,
  audiences: from.audiences,
  algorithms: from.algorithms,
  requiredClaims: from.required_claims,
  endUserClaim: from.end_user_claim,
  ttlMs: from.ttl,
  scopes: from.scopes,
  rules: completeRules(from.rules),
});
