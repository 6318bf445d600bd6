import { common, router } from "@weir/contracts";
import type { DialectName, FinishReason, MediaPart, ProviderDialectName, Role, ToolChoice } from "@weir/dialects";
import { type Reason, WeirError } from "@weir/kernel";
import type { Billing } from "../domain/billing.ts";
import type { CacheOutcome } from "../domain/call.ts";

/** The contract's enums and the domain's names, both ways. */

const DIALECTS = {
  "openai-chat": common.Dialect.OPENAI_CHAT,
  "openai-responses": common.Dialect.OPENAI_RESPONSES,
  "anthropic-messages": common.Dialect.ANTHROPIC_MESSAGES,
  "gemini-generate": common.Dialect.GEMINI_GENERATE,
} as const satisfies Record<DialectName, common.Dialect>;

const FINISHES = {
  stop: common.FinishReason.STOP,
  length: common.FinishReason.LENGTH,
  "tool-calls": common.FinishReason.TOOL_CALLS,
  "content-filter": common.FinishReason.CONTENT_FILTER,
  refusal: common.FinishReason.REFUSAL,
  pause: common.FinishReason.PAUSE,
  error: common.FinishReason.ERROR,
} as const satisfies Record<FinishReason, common.FinishReason>;

const ROLES = {
  system: common.Role.SYSTEM,
  developer: common.Role.DEVELOPER,
  user: common.Role.USER,
  assistant: common.Role.ASSISTANT,
  tool: common.Role.TOOL,
} as const satisfies Record<Role, common.Role>;

const KINDS = {
  image: common.MediaPart_Kind.IMAGE,
  audio: common.MediaPart_Kind.AUDIO,
  video: common.MediaPart_Kind.VIDEO,
  file: common.MediaPart_Kind.FILE,
} as const satisfies Record<MediaPart["kind"], common.MediaPart_Kind>;

const MODES = {
  auto: common.ToolChoice_Mode.AUTO,
  none: common.ToolChoice_Mode.NONE,
  required: common.ToolChoice_Mode.REQUIRED,
  named: common.ToolChoice_Mode.NAMED,
} as const satisfies Record<ToolChoice["mode"], common.ToolChoice_Mode>;

const BILLINGS = {
  charged: router.Billing.CHARGED,
  nothing: router.Billing.NOTHING,
  unknown: router.Billing.UNKNOWN,
} as const satisfies Record<Billing, router.Billing>;

const CACHES = {
  hit: { hit: true, kind: router.CacheKind.EXACT, miss: router.CacheMiss.UNSPECIFIED },
  "semantic-hit": { hit: true, kind: router.CacheKind.SEMANTIC, miss: router.CacheMiss.UNSPECIFIED },
  miss: { hit: false, kind: router.CacheKind.UNSPECIFIED, miss: router.CacheMiss.ABSENT },
  stale: { hit: false, kind: router.CacheKind.UNSPECIFIED, miss: router.CacheMiss.STALE },
  bypass: { hit: false, kind: router.CacheKind.UNSPECIFIED, miss: router.CacheMiss.BYPASS },
} as const satisfies Record<CacheOutcome, Pick<router.CacheUse, "hit" | "kind" | "miss">>;

function reversed<Name extends string>(table: Readonly<Record<Name, number>>): ReadonlyMap<number, Name> {
  return new Map(Object.entries(table).map(([name, value]) => [value as number, name as Name]));
}

const dialectNames = reversed(DIALECTS);
const roleNames = reversed(ROLES);
const kindNames = reversed(KINDS);
const modeNames = reversed(MODES);

/** @throws WeirError invalid_request for what is no dialect of chats */
export function dialectName(dialect: common.Dialect): DialectName {
  const name = dialectNames.get(dialect);
  if (name === undefined) throw new WeirError("invalid_request", "This dialect is not one of chats.");
  return name;
}

/** @throws WeirError invalid_request */
export function roleName(role: common.Role): Role {
  const name = roleNames.get(role);
  if (name === undefined) throw new WeirError("invalid_request", "A message has no role.");
  return name;
}

export const kindName = (kind: common.MediaPart_Kind): MediaPart["kind"] => kindNames.get(kind) ?? "file";
export const modeName = (mode: common.ToolChoice_Mode): ToolChoice["mode"] => modeNames.get(mode) ?? "auto";

/** Unspecified for what only providers speak. */
export const wireDialect = (name: ProviderDialectName): common.Dialect =>
  name in DIALECTS ? DIALECTS[name as DialectName] : common.Dialect.UNSPECIFIED;
export const wireKind = (kind: MediaPart["kind"]): common.MediaPart_Kind => KINDS[kind];
export const wireBilling = (billing: Billing): router.Billing => BILLINGS[billing];

export const wireCache = (outcome: CacheOutcome): Pick<router.CacheUse, "hit" | "kind" | "miss"> => CACHES[outcome];

export const wireFinish = (reason: FinishReason | undefined): common.FinishReason =>
  reason === undefined ? common.FinishReason.UNSPECIFIED : FINISHES[reason];

export const wireReason = (reason: Reason): common.ErrorReason =>
  common.ErrorReason[reason.toUpperCase() as Uppercase<Reason>];
