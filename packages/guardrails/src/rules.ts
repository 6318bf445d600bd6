import type { Detector, Label } from "./detector.ts";
import { card } from "./detectors/card.ts";
import { codeBlocks, DANGEROUS_COMMANDS } from "./detectors/code.ts";
import { email } from "./detectors/email.ts";
import { iban } from "./detectors/iban.ts";
import { ip } from "./detectors/ip.ts";
import { type PatternDetector, patterns } from "./detectors/pattern.ts";
import { phone } from "./detectors/phone.ts";
import { phrases } from "./detectors/phrases.ts";
import { secrets } from "./detectors/secrets.ts";
import { ssn } from "./detectors/ssn.ts";
import { type UrlPolicy, urls } from "./detectors/url.ts";

/**
 * What is done about what was found, the stronger over the weaker; `allow` exempts what lies within its findings from all other rules
 * (the company's own domain, a test card).
 */
export type Action = "allow" | "flag" | "redact" | "block";

/** Where a text stands: what goes to the model (by whoever wrote it), what tools and documents said, what the model says, and what it gives to tools. */
export type Place = "input" | "tool-results" | "output" | "tool-arguments";

export const PLACES: readonly Place[] = ["input", "tool-results", "output", "tool-arguments"];

export const PERSONAL = ["email", "phone", "card", "iban", "ssn", "ip"] as const;
export type Personal = (typeof PERSONAL)[number];

export type DetectorChoice =
  | { readonly kind: Personal | "secrets" | "commands" }
  | { readonly kind: "names" | "topics"; readonly phrases: readonly string[] }
  /** `name` is what verdicts and placeholders call it. */
  | {
      readonly kind: "patterns";
      readonly name: string;
      readonly patterns: readonly string[];
      readonly ignoreCase: boolean;
    }
  | ({ readonly kind: "urls" } & UrlPolicy)
  | { readonly kind: "code"; readonly languages: readonly string[] }
  /** Judges a text as a whole: flags or blocks. Default threshold 1. */
  | { readonly kind: "injection"; readonly threshold?: number | undefined }
  /** Judges a text as a whole: flags or blocks what does not pass. */
  | { readonly kind: "check"; readonly name: string; readonly passes: (text: string) => boolean };

export interface Rule {
  readonly detector: DetectorChoice;
  readonly action: Action;
  readonly places: readonly Place[];
}

const SIMPLE: Readonly<Record<Personal | "secrets", Detector>> = { email, phone, card, iban, ssn, ip, secrets };

/** What finds places in a text; undefined for what judges it as a whole. */
export type Finder = { readonly detector: Detector } | { readonly pattern: PatternDetector };

/** @throws WeirError invalid_request for a pattern that cannot be used */
export function finderOf(choice: DetectorChoice): Finder | undefined {
  switch (choice.kind) {
    case "names":
      return { detector: phrases("names", "NAME", choice.phrases) };
    case "topics":
      return { detector: phrases("topics", "TOPIC", choice.phrases) };
    case "patterns":
      return { pattern: patterns(choice.name, labelOf(choice.name), choice.patterns, choice.ignoreCase) };
    case "commands":
      return { pattern: patterns("commands", "COMMAND", DANGEROUS_COMMANDS, true) };
    case "urls":
      return { detector: urls(choice) };
    case "code":
      return { detector: codeBlocks(choice) };
    case "injection":
    case "check":
      return undefined;
    case "email":
    case "phone":
    case "card":
    case "iban":
    case "ssn":
    case "ip":
    case "secrets":
      return { detector: SIMPLE[choice.kind] };
  }
}

/** What verdicts call the detector. */
export const detectorName = (choice: DetectorChoice): string =>
  choice.kind === "patterns" || choice.kind === "check" ? choice.name : choice.kind;

/** "employee-number" → EMPLOYEE_NUMBER */
function labelOf(name: string): Label {
  const label = name
    .toUpperCase()
    .replace(/[^A-Z]+/g, "_")
    .replace(/^_+|_+$/g, "")
    .slice(0, 24)
    .replace(/_+$/, "");
  return label === "" ? "VALUE" : label;
}
