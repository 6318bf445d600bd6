import type { JsonObject } from "@weir/dialects";
import { describe, expect, test } from "vitest";
import { callText } from "./repeated-call.ts";

const asked = { role: "user", content: "find it" };
const step = (call: string, query: string, found: string) => [
  {
    role: "assistant",
    tool_calls: [{ id: call, type: "function", function: { name: "search", arguments: `{"q":"${query}"}` } }],
  },
  { role: "tool", tool_call_id: call, content: found },
];
const chat = (...messages: JsonObject[]) => callText("m", { model: "m", messages });

test("a step that is like the one before is the same call, however long the conversation became", () => {
  const once = chat(asked, ...step("call_1", "x", "nothing"));
  const again = chat(asked, ...step("call_1", "x", "nothing"), ...step("call_2", "x", "nothing"));
  expect(again).toBe(once);
});

test("another argument, another result, another answer or another model is another call", () => {
  const one = chat(asked, ...step("1", "x", "nothing"));
  expect(chat(asked, ...step("1", "y", "nothing"))).not.toBe(one);
  expect(chat(asked, ...step("1", "x", "something"))).not.toBe(one);
  expect(chat(asked, ...step("1", "x", "nothing"), { role: "user", content: "look again" })).not.toBe(one);
  expect(callText("other", { messages: [asked, ...step("1", "x", "nothing")] })).not.toBe(one);
});

test("without an answer yet, the whole conversation counts; the order of members does not", () => {
  expect(chat({ role: "system", content: "s" }, asked)).not.toBe(chat(asked));
  expect(chat({ content: "find it", role: "user" })).toBe(chat(asked));
});

describe.each([
  [
    "Responses",
    (id: string) => ({
      input: [
        { role: "user", content: "find it" },
        { type: "function_call", call_id: id, id: `fc_${id}`, name: "search", arguments: "{}" },
        { type: "function_call_output", call_id: id, output: "nothing" },
      ],
    }),
  ],
  [
    "Messages",
    (id: string) => ({
      messages: [
        { role: "user", content: "find it" },
        {
          role: "assistant",
          content: [
            { type: "thinking", thinking: "hm", signature: id },
            { type: "tool_use", id, name: "search", input: {} },
          ],
        },
        { role: "user", content: [{ type: "tool_result", tool_use_id: id, content: "nothing" }] },
      ],
    }),
  ],
  [
    "Gemini",
    (id: string) => ({
      contents: [
        { role: "user", parts: [{ text: "find it" }] },
        { role: "model", parts: [{ functionCall: { id, name: "search", args: {} }, thoughtSignature: id }] },
        { role: "user", parts: [{ functionResponse: { id, name: "search", response: { found: 0 } } }] },
      ],
    }),
  ],
])("%s", (_name, body) => {
  test("ids of calls and signatures make no difference", () => {
    expect(callText("m", body("one"))).toBe(callText("m", body("two")));
    expect(callText("m", body("one"))).not.toContain("find it");
  });
});

test("an input that is a text is the call", () => {
  expect(callText("m", { input: "a" })).not.toBe(callText("m", { input: "b" }));
  expect(callText("m", { input: "a", stream: true })).toBe(callText("m", { input: "a" }));
});
