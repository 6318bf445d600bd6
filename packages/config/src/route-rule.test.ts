import fc from "fast-check";
import { expect, it } from "vitest";
import { compileRule, type Rule, type RuleRequest } from "./route-rule.ts";

class Asked implements RuleRequest {
  readonly model = "fast";
  readonly stream = false;
  readonly tools = true;
  readonly media = false;
  readonly structured = false;
  readonly input_tokens = 5_000n;
  readonly output_tokens = 0n;
  readonly messages = 3n;
  readonly tags = { team: "search" };
  readonly conversation = "";
  textReads = 0;
  get text(): string {
    this.textReads++;
    return "Explain weirs";
  }
}

it("decides by what a request is", () => {
  const yes = [
    "request.input_tokens > 4000",
    'request.tags["team"] == "search" && !request.stream',
    '"team" in request.tags',
    'request.text.contains("weirs") || request.media',
    "request.tools && request.messages >= 3 && request.output_tokens == 0",
    'request.model.startsWith("fa")',
  ];
  for (const when of yes) expect(compileRule(when)(new Asked()), when).toBe(true);
  for (const when of yes) expect(compileRule(`!(${when})`)(new Asked()), when).toBe(false);
});

it("is not true where it cannot be evaluated", () => {
  const never = [
    'request.tags.nobody == "search"',
    'request.tags["nobody"] != "search"',
    "request.messages / (request.messages - request.messages) > 0",
    "9223372036854775807 + request.input_tokens > 0",
  ];
  for (const when of never) expect(compileRule(when)(new Asked()), when).toBe(false);
});

it("reads what costs something only where it is asked for", () => {
  const asked = new Asked();
  compileRule("request.tools")(asked);
  expect(asked.textReads).toBe(0);
});

it("says what is wrong with an expression", () => {
  expect(() => compileRule("request.input_tokens >")).toThrow(RangeError);
  expect(() => compileRule("request.colour == 1")).toThrow(/colour/);
  expect(() => compileRule("request.input_tokens")).toThrow("is of type int, and must be true or false");
  expect(() => compileRule('request.text.matches("(a+)+$")')).toThrow("matches() is not offered");
  expect(() => compileRule("process.exit()")).toThrow(RangeError);
});

it("is a rule or an error, whatever is written", () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 60 }), (when) => {
      let rule: Rule;
      try {
        rule = compileRule(when);
      } catch (error) {
        expect(error).toBeInstanceOf(RangeError);
        return;
      }
      expect(typeof rule(new Asked())).toBe("boolean");
    }),
  );
});
