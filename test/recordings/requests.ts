/** What a recorded request asks for, read apart from our dialects: what must arrive at whichever provider is asked. */

type Json = Record<string, unknown>;

const list = (value: unknown): Json[] => (Array.isArray(value) ? (value as Json[]) : []);

/** All that users and tools say in it. */
export function saidIn(request: Readonly<Json>): string[] {
  const turns = [...list(request["messages"]), ...list(request["input"])];
  const texts = turns.flatMap((turn) => {
    if (turn["role"] === "tool") return textsOf(turn["content"]);
    if (turn["type"] === "function_call_output") return textsOf(turn["output"]);
    if (turn["role"] !== "user") return [];
    const results = list(turn["content"]).filter(({ type }) => type === "tool_result");
    return [...textsOf(turn["content"]), ...results.flatMap(({ content }) => textsOf(content))];
  });
  if (typeof request["input"] === "string") texts.push(request["input"]);
  return texts.filter((text) => text.trim() !== "");
}

const textsOf = (content: unknown): string[] =>
  typeof content === "string"
    ? [content]
    : list(content).flatMap(({ text }) => (typeof text === "string" ? [text] : []));

/** The names of the functions that it offers. */
export function functionsIn(request: Readonly<Json>): string[] {
  return list(request["tools"]).flatMap((tool) => {
    const { name } = (tool["function"] ?? tool) as { name?: unknown };
    const isFunction = tool["type"] === "function" || tool["input_schema"] !== undefined;
    return isFunction && typeof name === "string" ? [name] : [];
  });
}
