/** What a key's guardrails are, compiled once for each set of names that some key requires. */
import { compileScanner, type Place, type Rule, type Scanner } from "@weir/guardrails";
import { type Secret, WeirError } from "@weir/kernel";

/** Asked about texts when the scanners have let them through. */
export interface ExternalCheck {
  readonly guardrail: string;
  readonly name: string;
  readonly url: string;
  readonly secret: Secret | undefined;
  readonly timeoutMs: number;
  readonly places: readonly Place[];
  readonly action: "flag" | "block";
  /** What to do when it cannot be asked: go on, or refuse. */
  readonly failClosed: boolean;
}

export interface GuardrailDefinition {
  readonly rules: readonly Rule[];
  readonly external: readonly ExternalCheck[];
}

export interface Guard {
  readonly names: readonly string[];
  readonly scanners: Readonly<Partial<Record<Place, Scanner>>>;
  /** For texts that are not judged as a whole: instructions, definitions, what the model said before. */
  readonly quiet: Readonly<Partial<Record<Place, Scanner>>>;
  readonly external: readonly ExternalCheck[];
  /** Whether something of an answer is looked at. */
  readonly answers: boolean;
  /** Whether an answer's text may be changed or stopped: then nothing may repeat it on the side (logprobs). */
  readonly cuts: boolean;
}

const PLACES: readonly Place[] = ["input", "tool-results", "output", "tool-arguments"];
const MOST_SETS = 1_000;

export class Guards {
  readonly #definitions: ReadonlyMap<string, GuardrailDefinition>;
  readonly #bySet = new Map<string, Guard>();
  readonly #byList = new WeakMap<readonly string[], Guard>();

  /** @throws WeirError invalid_request for a pattern that cannot be used: when the service starts, not when a request comes */
  constructor(definitions: ReadonlyMap<string, GuardrailDefinition>) {
    this.#definitions = definitions;
    for (const name of definitions.keys()) this.of([name]);
  }

  get names(): ReadonlySet<string> {
    return new Set(this.#definitions.keys());
  }

  /**
   * @param names the rules' own list: the same list is the same guard, found without a look-up by name
   * @throws WeirError permission_denied for a name that is not defined: the rules refuse such a request before it comes here
   */
  of(names: readonly string[]): Guard | undefined {
    if (names.length === 0) return undefined;
    let guard = this.#byList.get(names);
    if (guard === undefined) this.#byList.set(names, (guard = this.#bySetOf(names)));
    return guard;
  }

  #bySetOf(names: readonly string[]): Guard {
    const sorted = [...new Set(names)].sort();
    const id = sorted.join(" ");
    let guard = this.#bySet.get(id);
    if (guard !== undefined) return guard;
    guard = this.#compiled(sorted);
    if (this.#bySet.size >= MOST_SETS) this.#bySet.clear();
    this.#bySet.set(id, guard);
    return guard;
  }

  #compiled(names: readonly string[]): Guard {
    const definitions = names.map((name) => {
      const definition = this.#definitions.get(name);
      if (definition === undefined)
        throw new WeirError("permission_denied", `The guardrail "${name}" is required and does not exist.`);
      return definition;
    });
    const rules = definitions.flatMap((definition) => definition.rules);
    const external = definitions.flatMap((definition) => definition.external);
    const isJudge = ({ detector }: Rule): boolean => detector.kind === "injection" || detector.kind === "check";
    const scanners = scannersOf(rules);
    const quiet = rules.some(isJudge) ? scannersOf(rules.filter((rule) => !isJudge(rule))) : scanners;
    const inAnswers = (places: readonly Place[]): boolean =>
      places.includes("output") || places.includes("tool-arguments");
    const strong = rules.filter(
      ({ action, places }) => (action === "redact" || action === "block") && inAnswers(places),
    );
    return {
      names,
      scanners,
      quiet,
      external,
      answers:
        scanners.output !== undefined ||
        scanners["tool-arguments"] !== undefined ||
        external.some(({ places }) => inAnswers(places)),
      cuts: strong.length > 0,
    };
  }
}

function scannersOf(rules: readonly Rule[]): Partial<Record<Place, Scanner>> {
  const scanners: Partial<Record<Place, Scanner>> = {};
  for (const place of PLACES) {
    const scanner = compileScanner(rules, place);
    if (scanner !== undefined) scanners[place] = scanner;
  }
  return scanners;
}
