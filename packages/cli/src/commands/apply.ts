import { readApplyFile } from "@weir/config";
import { policy } from "@weir/contracts";
import { readActual } from "../apply/actual.ts";
import { planOf } from "../apply/plan.ts";
import type { Step } from "../apply/step.ts";
import { type Command, required } from "../command.ts";
import { printable } from "../output.ts";

const SIGNS: Readonly<Record<Step["verb"], string>> = { create: "+", update: "~", delete: "-", keep: " " };

const lineOf = ({ verb, what, details }: Step): string =>
  printable(`${SIGNS[verb]} ${verb} ${what}${details.length === 0 ? "" : ` (${details.join("; ")})`}`);

const count = (steps: readonly Step[], verb: Step["verb"]): number => steps.filter((step) => step.verb === verb).length;

function summaryOf(steps: readonly Step[], dryRun: boolean): string {
  const [create, update, remove, keep] = (["create", "update", "delete", "keep"] as const).map((verb) =>
    count(steps, verb),
  );
  const would = dryRun ? "would be " : "";
  return `${create} ${would}created, ${update} ${would}updated, ${remove} ${would}deleted, ${keep} unchanged`;
}

export const applyCommands: readonly Command[] = [
  {
    name: "apply",
    usage: "-f file.yaml [--dry-run] [--prune]",
    summary:
      "make organizations, workspaces, projects, end users, tags and what bounds them as a file says, and tell what changed",
    options: { file: { type: "string", short: "f" }, "dry-run": { type: "boolean" }, prune: { type: "boolean" } },
    async run({ connection, output, flags }) {
      const wanted = readApplyFile(required(flags, "file"));
      const connected = connection();
      const steps = planOf(wanted, await readActual(connected, wanted), flags.on("prune"));
      const dryRun = flags.on("dry-run");
      const changes = steps.filter(({ verb }) => verb !== "keep");
      const { client, call } = connected;
      const hands = { admin: client(policy.PolicyAdminService), books: client(policy.BudgetService), call };
      const done: object[] = [];
      for (const step of changes) {
        // Told when it is done: where one fails, what stands above it is in force.
        const said = dryRun ? undefined : await step.run(hands);
        output.note(lineOf(step));
        if (typeof said === "string") output.note(`    ${printable(said)}`);
        done.push({ verb: step.verb, what: step.what, details: step.details });
      }
      output.note(summaryOf(steps, dryRun));
      if (flags.on("json")) output.line(JSON.stringify({ changes: done, unchanged: count(steps, "keep") }, null, 2));
    },
  },
];
