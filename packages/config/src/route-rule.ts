import { Environment, EvaluationError } from "@marcbachmann/cel-js";

/** What a rule of a route may look at, as `request` in its expression. */
export interface RuleRequest {
  /** The name the client used. */
  readonly model: string;
  readonly stream: boolean;
  /** It lets the model call something. */
  readonly tools: boolean;
  /** It has pictures, sound or files. */
  readonly media: boolean;
  /** It wants an answer of a form: JSON, or of a schema. */
  readonly structured: boolean;
  /** An upper bound; 0: unknown. */
  readonly input_tokens: bigint;
  /** The most it may answer; 0: no cap. */
  readonly output_tokens: bigint;
  readonly messages: bigint;
  /** What is said in it, all messages one after the other. */
  readonly text: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly conversation: string;
}

/** Fields are read where the expression names them: what costs something is a getter. */
const FIELDS: Readonly<Record<keyof RuleRequest, string>> = {
  model: "string",
  stream: "bool",
  tools: "bool",
  media: "bool",
  structured: "bool",
  input_tokens: "int",
  output_tokens: "int",
  messages: "int",
  text: "string",
  tags: "map<string, string>",
  conversation: "string",
};

/** CEL tells types by their class: this one reads each field from what it is given, when it is asked for. */
class Request {}
for (const field of Object.keys(FIELDS) as (keyof RuleRequest)[]) {
  Object.defineProperty(Request.prototype, field, {
    get(this: { readonly of: RuleRequest }) {
      return this.of[field];
    },
  });
}

// CEL (github.com/google/cel-spec): it ends, has no side effects, and takes time by the size of expression and text. `matches` would bring
// JavaScript's regular expressions, whose time has no such bound, so it is not offered.
const environment = new Environment({ unlistedVariablesAreDyn: false, limits: { maxAstNodes: 500, maxDepth: 50 } })
  .registerType("Request", { fields: { ...FIELDS }, ctor: Request })
  .registerVariable("request", "Request");

export type Rule = (request: RuleRequest) => boolean;

/** What cannot be evaluated (a tag that is not there, a division by zero) is not true. @throws RangeError that says what is wrong with the expression */
export function compileRule(when: string): Rule {
  if (/\bmatches\s*\(/.test(when))
    throw new RangeError("matches() is not offered; use contains(), startsWith() or endsWith()");
  let parsed: ReturnType<typeof environment.parse>;
  try {
    parsed = environment.parse(when);
  } catch (error) {
    throw new RangeError(firstLine(error), { cause: error });
  }
  const check = parsed.check();
  if (!check.valid) throw new RangeError(firstLine(check.error));
  if (check.type !== "bool") throw new RangeError(`is of type ${check.type}, and must be true or false`);
  return (of) => {
    try {
      return parsed({ request: Object.assign(new Request(), { of }) }) === true;
    } catch (error) {
      if (error instanceof EvaluationError) return false;
      throw error;
    }
  };
}

const firstLine = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).split("\n", 1)[0] ?? "is no expression";
