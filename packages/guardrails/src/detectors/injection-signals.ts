import type { WordClass } from "./injection-words.ts";

/** A sequence of words, with at most so many others between two of them. */
export interface Signal {
  readonly name: string;
  readonly words: readonly (WordClass | { readonly exactly: string })[];
  readonly gap: number;
  /** 1 is enough by itself. */
  readonly weight: number;
  /** Only an attack where it stands in data: in a user's own words it is a wish like any other. */
  readonly inData?: boolean;
}

const word = (exactly: string): { readonly exactly: string } => ({ exactly });

export const SIGNALS: readonly Signal[] = [
  // Overriding
  { name: "override", words: ["ignore", "prior", "instruction"], gap: 3, weight: 1 },
  { name: "override", words: ["ignore", "instruction", "prior"], gap: 3, weight: 0.8 },
  { name: "override", words: ["ignore", "all", "instruction"], gap: 2, weight: 0.6 },
  { name: "override", words: ["ignore", word("everything"), "prior"], gap: 3, weight: 0.8 },
  { name: "override", words: ["ignore", "all", "prior"], gap: 2, weight: 0.5 },
  { name: "override", words: ["ignore", word("everything"), word("i"), word("told")], gap: 3, weight: 0.6 },
  { name: "override", words: [word("do"), word("not"), "obey", "prior", "instruction"], gap: 3, weight: 0.8 },
  { name: "override", words: ["stop", "being", "instruction"], gap: 3, weight: 0.5 },
  { name: "new-instructions", words: ["new", "instruction"], gap: 1, weight: 0.2 },
  { name: "new-instructions", words: [word("your"), "new", "instruction"], gap: 1, weight: 0.5 },
  // Getting at the prompt
  { name: "reveal-prompt", words: ["reveal", "system", "prompt"], gap: 3, weight: 0.7 },
  { name: "reveal-prompt", words: ["reveal", word("your"), "prompt"], gap: 2, weight: 0.6 },
  { name: "reveal-prompt", words: ["reveal", "all", word("above")], gap: 3, weight: 0.6 },
  { name: "reveal-prompt", words: ["reveal", word("words"), word("above")], gap: 2, weight: 0.6 },
  { name: "reveal-prompt", words: [word("what"), word("your"), "system", "prompt"], gap: 2, weight: 0.5 },
  { name: "reveal-prompt", words: [word("starting"), word("with"), word("you"), word("are")], gap: 1, weight: 0.6 },
  // Other persons without rules
  { name: "persona", words: ["you", "are", "persona"], gap: 4, weight: 0.6 },
  { name: "persona", words: ["are", word("as"), "persona"], gap: 3, weight: 0.5 },
  { name: "persona", words: [word("do"), word("anything"), word("now")], gap: 1, weight: 0.9 },
  { name: "persona", words: [word("stay"), word("in"), word("character")], gap: 0, weight: 0.25 },
  { name: "persona", words: ["you", "are", word("now")], gap: 2, weight: 0.3 },
  { name: "persona", words: [word("from"), word("now"), word("on"), "you"], gap: 1, weight: 0.4 },
  { name: "persona", words: ["are", "assistant", "no", "limits"], gap: 5, weight: 0.7 },
  { name: "mode", words: ["developer", "mode"], gap: 0, weight: 0.4 },
  { name: "mode", words: [word("enable"), "developer", "mode"], gap: 2, weight: 0.5 },
  { name: "mode", words: ["you", "developer", "mode"], gap: 4, weight: 0.4 },
  { name: "no-limits", words: ["no", "limits"], gap: 3, weight: 0.25 },
  { name: "no-limits", words: ["no", "longer", word("bound")], gap: 2, weight: 0.6 },
  { name: "no-limits", words: [word("broken"), word("free")], gap: 1, weight: 0.5 },
  { name: "no-limits", words: ["ignore", "all", "limits"], gap: 3, weight: 0.5 },
  { name: "no-limits", words: ["ignore", word("your"), "limits"], gap: 3, weight: 0.6 },
  { name: "no-limits", words: ["ignore", "limits"], gap: 3, weight: 0.3 },
  { name: "no-refusal", words: [word("never"), "refuse"], gap: 3, weight: 0.4 },
  { name: "no-refusal", words: ["no", "refuse"], gap: 2, weight: 0.2 },
  { name: "no-refusal", words: [word("cannot"), "refuse"], gap: 1, weight: 0.3 },
  { name: "no-refusal", words: [word("must"), "obey"], gap: 2, weight: 0.25 },
  { name: "no-refusal", words: ["obey", "all", "instruction"], gap: 3, weight: 0.25 },
  { name: "no-refusal", words: [word("pretend"), "no", "limits"], gap: 6, weight: 0.4 },
  { name: "jailbreak", words: [word("jailbreak")], gap: 0, weight: 0.25 },
  { name: "jailbreak", words: [word("jailbroken")], gap: 0, weight: 0.3 },
  { name: "hypothetical", words: [word("hypothetical"), "no", "limits"], gap: 8, weight: 0.4 },
  // Speaking to the model out of data
  { name: "address", words: ["assistant", word("must")], gap: 2, weight: 0.3, inData: true },
  { name: "address", words: ["important", "assistant"], gap: 4, weight: 0.35, inData: true },
  { name: "address", words: [word("if"), "you", word("are"), "assistant"], gap: 3, weight: 0.6, inData: true },
  { name: "address", words: [word("when"), word("you"), word("read")], gap: 2, weight: 0.4, inData: true },
  { name: "address", words: [word("before"), word("you"), word("can")], gap: 3, weight: 0.15, inData: true },
  { name: "hide", words: ["no", "mention", "user"], gap: 4, weight: 0.6, inData: true },
  { name: "hide", words: ["no", "mention", word("this")], gap: 3, weight: 0.3, inData: true },
  { name: "hide", words: ["secretly", "send"], gap: 4, weight: 0.5, inData: true },
  { name: "exfiltrate", words: ["send", "data", word("to")], gap: 8, weight: 0.35, inData: true },
  { name: "exfiltrate", words: ["send", "all", "data"], gap: 3, weight: 0.3, inData: true },
  { name: "override", words: ["ignore", "instruction"], gap: 4, weight: 0.6, inData: true },
  { name: "override", words: ["ignore", word("user")], gap: 3, weight: 0.5, inData: true },
  { name: "override", words: ["instead", "send"], gap: 3, weight: 0.4, inData: true },
  { name: "new-instructions", words: ["new", "instruction"], gap: 3, weight: 0.4, inData: true },
  { name: "call-tool", words: ["you", word("must"), "send"], gap: 5, weight: 0.5, inData: true },
  { name: "call-tool", words: [word("please"), "send", "data"], gap: 8, weight: 0.35, inData: true },
  { name: "call-tool", words: [word("call"), word("tool")], gap: 4, weight: 0.3, inData: true },
];

/** Marks of the formats that models are trained on: no user types them, and no document has them by chance. */
export const MARKS: readonly (readonly [text: string, weight: number])[] = [
  ["<|im_start|>", 1],
  ["<|im_end|>", 0.8],
  ["<|system|>", 1],
  ["<|endoftext|>", 0.6],
  ["<|start_header_id|>", 1],
  ["<|eot_id|>", 0.8],
  ["[INST]", 0.5],
  ["[/INST]", 0.5],
  ["<<SYS>>", 1],
  ["<start_of_turn>", 0.8],
  ["\n\nHuman:", 0.4],
  ["\n\nAssistant:", 0.3],
  ["### Instruction:", 0.4],
  ["### System:", 0.6],
  ["<system>", 0.3],
  ["</system>", 0.3],
  ["[system](#", 0.8],
  ["</tool_result>", 0.8],
  ["</function_results>", 0.8],
];
