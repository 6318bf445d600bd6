import { isEmpty, NO_RULES, type Rules } from "../domain/rules.ts";

/** Rules as they are kept in a jsonb column: only what is set. */
export const rulesToJson = (rules: Rules): string => (isEmpty(rules) ? "{}" : JSON.stringify(rules));

export const rulesFromJson = (json: Partial<Rules>): Rules => ({ ...NO_RULES, ...json });
