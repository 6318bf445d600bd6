import { policy } from "@weir/contracts";
import { type Command, UsageError } from "../command.ts";
import { table } from "../output.ts";
import { PLACE_OPTIONS, PLACE_USAGE, placeOf, placeText } from "../place.ts";
import { RULE_OPTIONS, RULE_USAGE, rulesOf } from "../rules.ts";
import { rulesOfWire, rulesText } from "../wire-rules.ts";

const shown = (rules: policy.Rules | undefined): string => rulesText(rulesOfWire(rules)).join("; ") || "none";

const organizationTable = (organizations: readonly policy.Organization[]): string =>
  table(
    ["ID", "NAME", "RULES"],
    organizations.map(({ id, name, rules }) => [id, name, shown(rules)]),
  );

export const ruleCommands: readonly Command[] = [
  {
    name: "organizations create",
    usage: "<name>",
    summary: "make an organization: what workspaces belong to",
    words: { least: 1, most: 1 },
    async run({ connection, output, args }) {
      const { client, call } = connection();
      const made = await client(policy.PolicyAdminService).createOrganization({ name: args[0] ?? "" }, call);
      output.message(policy.CreateOrganizationResponseSchema, made, ({ organization }) =>
        organizationTable(organization === undefined ? [] : [organization]),
      );
    },
  },
  {
    name: "organizations list",
    usage: "",
    summary: "organizations and their rules",
    async run({ connection, output }) {
      const { client, call } = connection();
      const found = await client(policy.PolicyAdminService).listOrganizations({}, call);
      output.message(policy.ListOrganizationsResponseSchema, found, ({ organizations }) =>
        organizationTable(organizations),
      );
    },
  },
  {
    name: "rules put",
    usage: `(${PLACE_USAGE}) (--none | ${RULE_USAGE})`,
    summary: "replace the rules of a place",
    options: { ...PLACE_OPTIONS, ...RULE_OPTIONS, none: { type: "boolean" } },
    async run({ connection, output, flags }) {
      const { rules } = rulesOf(flags);
      if ((rules === undefined) !== flags.on("none")) throw new UsageError("needs rules, or --none");
      const { client, call } = connection();
      const request = { place: placeOf(flags), ...(rules === undefined ? {} : { rules }) };
      const put = await client(policy.PolicyAdminService).putRules(request, call);
      output.message(policy.PutRulesResponseSchema, put, (response) => shown(response.rules));
    },
  },
  {
    name: "rules list",
    usage: "[--workspace W]",
    summary: "end users and tags that have rules; other places show theirs in their own lists",
    options: { workspace: { type: "string" } },
    async run({ connection, output, flags }) {
      const { client, call } = connection();
      const workspace = flags.text("workspace") ?? "";
      const found = await client(policy.PolicyAdminService).listAttributes({ workspace }, call);
      output.message(policy.ListAttributesResponseSchema, found, ({ attributes }) =>
        table(
          ["PLACE", "RULES"],
          attributes.map(({ place, rules }) => [placeText(place), shown(rules)]),
        ),
      );
    },
  },
];
