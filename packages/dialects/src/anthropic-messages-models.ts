/**
 * What a Claude model accepts, by its name. The API refuses (400) what a model does not know, so a request from another dialect must be
 * written for the model it goes to. Versions: https://platform.claude.com/docs/en/about-claude/models and the migration guides there.
 */
export interface ModelTraits {
  /** How thinking is asked for: not at all, by a budget of tokens, or "adaptive" with an effort. */
  readonly thinking: "none" | "budget" | "adaptive";
  /** The highest effort it knows. */
  readonly xhigh: boolean;
  /** temperature, top_p and top_k: gone after 4.6. */
  readonly sampling: boolean;
  /** A system message where it stands in the conversation: from 4.8. */
  readonly systemMessages: boolean;
}

const VERSION = /claude-(?:[a-z]+-)?(\d)(?:[.-](\d{1,2})(?!\d))?/;

/** Models that are not Claude (others speak this dialect too) are taken for the oldest kind, unnumbered Claudes for the newest. */
export function traitsOf(model: string): ModelTraits {
  const match = VERSION.exec(model);
  const version = match === null ? undefined : Number(match[1]) * 100 + Number(match[2] ?? 0);
  if (version === undefined && !model.includes("claude"))
    return { thinking: "budget", xhigh: false, sampling: true, systemMessages: false };
  const since = (needed: number): boolean => version === undefined || version >= needed;
  return {
    thinking: since(406) ? "adaptive" : since(307) ? "budget" : "none",
    xhigh: since(407),
    sampling: !since(407),
    systemMessages: since(408),
  };
}
