import type { Part } from "@weir/dialects";

/** What parts say, in their order: texts, refusals and tool calls as they were written. Thinking is nobody's answer; media are named, not shown. */
export const textsOf = (parts: readonly Part[]): string =>
  parts
    .map(textOf)
    .filter((text) => text !== "")
    .join("\n");

function textOf(part: Part): string {
  switch (part.type) {
    case "text":
    case "refusal":
      return part.text;
    case "tool-call":
      return `${part.name}(${part.arguments})`;
    case "tool-result":
      return textsOf(part.parts);
    case "media":
      return `[${part.kind}]`;
    case "thinking":
    case "unknown":
      return "";
  }
}
