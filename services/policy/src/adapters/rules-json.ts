import { NO_RULES, type Rules, statedRules } from "@weir/rules";

/** Rules as they are kept in a jsonb column: only what is set. */
export const rulesToJson = (rules: Rules): string => JSON.stringify(statedRules(rules));

export const rulesFromJson = (json: Partial<Rules>): Rules => ({ ...NO_RULES, ...json });
