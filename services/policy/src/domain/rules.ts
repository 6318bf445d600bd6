export { mergeRules, NO_RULES, ruleProblem, type Rules } from "@weir/rules";
