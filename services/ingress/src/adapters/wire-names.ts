/** Names on the wire (enums of the contracts) and in the domain. */
import { common } from "@weir/contracts";
import type { FinishReason } from "@weir/dialects";
import { isReason, type Reason } from "@weir/kernel";
import type { FacadeDialect } from "../domain/shape.ts";

const enumOf = (reason: Reason): common.ErrorReason =>
  common.ErrorReason[reason.toUpperCase() as keyof typeof common.ErrorReason];

export function reasonOf(reason: common.ErrorReason): Reason {
  const name = common.ErrorReason[reason]?.toLowerCase() ?? "internal";
  return isReason(name) ? name : "internal";
}

export const wireReason = (reason: Reason | undefined): common.ErrorReason =>
  reason === undefined ? common.ErrorReason.UNSPECIFIED : enumOf(reason);

const FINISH = {
  stop: common.FinishReason.STOP,
  length: common.FinishReason.LENGTH,
  "tool-calls": common.FinishReason.TOOL_CALLS,
  "content-filter": common.FinishReason.CONTENT_FILTER,
  refusal: common.FinishReason.REFUSAL,
  pause: common.FinishReason.PAUSE,
  error: common.FinishReason.ERROR,
} as const satisfies Record<FinishReason, common.FinishReason>;

const FINISH_NAMES = new Map<common.FinishReason, FinishReason>(
  Object.entries(FINISH).map(([name, value]) => [value, name as FinishReason]),
);

export const finishReasonOf = (reason: common.FinishReason): FinishReason | undefined => FINISH_NAMES.get(reason);
export const wireFinishReason = (reason: FinishReason | undefined): common.FinishReason =>
  reason === undefined ? common.FinishReason.UNSPECIFIED : FINISH[reason];

const DIALECTS = {
  "openai-chat": common.Dialect.OPENAI_CHAT,
  "openai-responses": common.Dialect.OPENAI_RESPONSES,
  "anthropic-messages": common.Dialect.ANTHROPIC_MESSAGES,
  "gemini-generate": common.Dialect.GEMINI_GENERATE,
  "openai-embeddings": common.Dialect.OPENAI_EMBEDDINGS,
} as const satisfies Record<FacadeDialect, common.Dialect>;

export const wireDialect = (dialect: FacadeDialect | undefined): common.Dialect =>
  dialect === undefined ? common.Dialect.UNSPECIFIED : DIALECTS[dialect];
