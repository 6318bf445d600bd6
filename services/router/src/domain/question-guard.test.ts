import fc from "fast-check";
import { expect, test } from "vitest";
import { guardOf } from "./question-guard.ts";

const alike = (one: string, other: string): boolean => guardOf(one) === guardOf(other);

test.each([
  ["How do I reset my password?", "how can I reset my password"],
  ["What is a mesh of services?", "Please tell me what a mesh of services is."],
  ["Is it safe to eat raw eggs?", "is eating raw eggs safe?"],
  ["What happened in Rome in 1960?", "what was it that happened in Rome, in 1960"],
  ["What does `git rebase` do?", "what would `git rebase`  do"],
  ["What did he mean by \u201cto be\u201d?", 'what did he mean by "to be"'],
])("may do for each other: %s — %s", (one, other) => {
  expect(alike(one, other)).toBe(true);
});

test.each([
  ["numbers", "What happened in 1960?", "What happened in 1961?"],
  ["numbers in words", "What are two good books?", "What are three good books?"],
  ["amounts", "Is $5 too much?", "Is \u20ac5 too much?"],
  ["signs", "What is 3 + 2?", "What is 3 - 2?"],
  ["comparisons", "Is x <= 3?", "Is x >= 3?"],
  ["versions", "How do I install it, v1.2.3?", "How do I install it, v1.2.4?"],
  ["negations", "Is it safe to eat raw eggs?", "Is it not safe to eat raw eggs?"],
  ["short negations", "Is it safe?", "Isn\u2019t it safe?"],
  ["negations without an apostrophe", "How can it be?", "How cant it be?"],
  ["negations of others", "Ist das gut?", "Ist das nicht gut?"],
  ["prefixes", "Is she happy?", "Is she unhappy?"],
  ["opposites", "How do I enable it?", "How do I disable it?"],
  ["order", "What is before summer and after winter?", "What is after summer and before winter?"],
  ["names", "What's the weather in Paris?", "What's the weather in Lyon?"],
  ["names in other places", "How far is it from Paris to Rome?", "How far is it from Rome to Paris?"],
  ["names at the beginning", "Paris: is it large?", "Lyon: is it large?"],
  ["what is to be done", "Summarize this", "Translate this"],
  ["what is asked for", "When was it built?", "Where was it built?"],
  ["quoted words", 'What is "foo"?', 'What is "bar"?'],
  ["code", "What does `rm x` do?", "What does `cp x` do?"],
  ["code in fences", "What is\n```\na = b\n```", "What is\n```\nb = a\n```"],
  ["identifiers", "What is user_id?", "What is user_name?"],
  ["camels", "What is userId?", "What is userName?"],
  ["addresses", "Can I read https://a.example/b?", "Can I read https://a.example/c?"],
  ["mail addresses", "Who is ann@a.example?", "Who is bob@a.example?"],
  ["languages", "What is C++?", "What is C#?"],
])("never do for each other: %s", (_, one, other) => {
  expect(alike(one, other)).toBe(false);
});

test("a number, a negation or code that is added anywhere is seen", () => {
  const plain = fc.array(fc.constantFrom("what", "is", "the", "garden", "like", "can", "it", "grow"), { minLength: 1 });
  const added = fc.constantFrom("not", "7", "1999", "never", "`x`", "without", '"y"', "a_b", "London");
  fc.assert(
    fc.property(plain, added, fc.nat(), (words, word, seed) => {
      const more: string[] = [...words];
      more.splice(seed % (words.length + 1), 0, word);
      expect(alike(words.join(" "), more.join(" "))).toBe(false);
    }),
  );
});

/** Lone surrogates, too. */
const anyText = fc
  .array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 300 })
  .map((units) => String.fromCharCode(...units));

test("any text is read, soon", () => {
  fc.assert(
    fc.property(fc.oneof(anyText, fc.stringMatching(/^[`'"./ a1+-]*$/)), (text) => {
      expect(alike(text, text)).toBe(true);
    }),
  );
  for (const hard of ["`", "'", '"', "```", "a.", "a/", "/", "1 -", " ", "\u201c", "a'"])
    guardOf(hard.repeat(4_000 / hard.length));
});
