/** Whose model it is, where Bedrock passes on what only that maker's models take. */
export interface Family {
  readonly name: "claude" | "nova" | "gpt-oss" | "other";
  /** Knows marks for caching; others refuse them. */
  readonly caches: boolean;
  /** Takes the status of a tool's result; others take errors only by their words. */
  readonly resultStatus: boolean;
  /** Seals its thinking, and wants it back with the seal. */
  readonly seals: boolean;
}

const CLAUDE: Family = { name: "claude", caches: true, resultStatus: true, seals: true };
const NOVA: Family = { name: "nova", caches: true, resultStatus: true, seals: false };
const GPT_OSS: Family = { name: "gpt-oss", caches: false, resultStatus: false, seals: false };
const OTHER: Family = { name: "other", caches: false, resultStatus: false, seals: false };
/** A seal that comes back was made by what is behind the profile. */
const UNKNOWN: Family = { ...OTHER, seals: true };

/**
 * @param model an id ("anthropic.claude-sonnet-4-5-20250929-v1:0"), an inference profile's ("us.amazon.nova-lite-v1:0"), or an ARN; the
 * ARN of a profile of one's own does not say whose model it is
 */
export function familyOf(model: string): Family {
  if (model.includes("claude")) return CLAUDE;
  if (model.includes("amazon.nova")) return NOVA;
  if (model.includes("openai.gpt-oss")) return GPT_OSS;
  return model.includes("application-inference-profile") ? UNKNOWN : OTHER;
}
