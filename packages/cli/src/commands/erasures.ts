import { writeFileSync } from "node:fs";
import { toJson } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { audit, policy } from "@weir/contracts";
import { uuidOrNone } from "@weir/proofs";
import { type Command, type Flags, required, UsageError, wholeNumber } from "../command.ts";
import type { Connection } from "../connection.ts";
import { printable, table, time } from "../output.ts";

/** By its id, or by its name where policy is at the same address. */
async function workspaceId({ client, call }: Connection, given: string): Promise<string> {
  if (uuidOrNone(given) !== "") return given;
  try {
    const { workspaces } = await client(policy.PolicyAdminService).listWorkspaces({}, call);
    const found = workspaces.find(({ name }) => name === given);
    if (found !== undefined) return found.id;
  } catch (error) {
    if (!(error instanceof ConnectError) || (error.code !== Code.Unimplemented && error.code !== Code.NotFound))
      throw error;
    throw new UsageError("--workspace is an id here: only policy knows names, and WEIR_RPC is another service");
  }
  throw new UsageError(`there is no workspace ${given}`);
}

function subjectOf(flags: Flags): audit.EraseRequest["subject"] {
  const [endUser, keyId] = [flags.text("end-user"), flags.text("key")];
  if (endUser !== undefined && keyId === undefined) return { case: "endUser", value: endUser };
  if (keyId !== undefined && endUser === undefined) return { case: "keyId", value: keyId };
  throw new UsageError("needs exactly one of --end-user and --key");
}

/** What still has to happen, for people. */
function state(of: audit.Erasing): string {
  if (of.completedIndex !== undefined) return `complete ${time(of.completedAtMs)}`;
  if (of.waitsFor.length > 0) return `waits for ${of.waitsFor.map(printable).join(", ")}`;
  if (of.transportKeys.length > 0) return `transport key ${of.transportKeys.join(", ")} is to be replaced`;
  return `key generation ${of.keyGenerations.join(", ")} is to be replaced`;
}

const erasureTable = (erasures: readonly audit.Erasing[]): string =>
  table(
    ["ERASURE", "TIME (UTC)", "WORKSPACE", "SUBJECT", "PAYLOADS", "RECORD", "STATE"],
    erasures.map((of) => [
      of.id,
      time(of.atMs),
      of.workspaceId,
      of.keyId === "" ? "an end user" : `key ${of.keyId}`,
      of.payloads,
      of.index,
      state(of),
    ]),
  );

/** A line for each: an erasure that lost millions of payloads is still shown by a file of some megabytes. */
async function erasedLeaves({ client, call }: Connection, id: string, atFirst: boolean): Promise<bigint[]> {
  const all: bigint[] = [];
  for (let fromIndex = 0n; ; ) {
    const { indexes, more } = await client(audit.ErasureService).listErasedLeaves({ id, fromIndex, atFirst }, call);
    all.push(...indexes);
    if (!more) return all;
    fromIndex = (indexes.at(-1) ?? 0n) + 1n;
  }
}

export const erasureCommands: readonly Command[] = [
  {
    name: "audit erase",
    usage: "--workspace W (--end-user U | --key K) [--dry-run] [--reason TEXT] [--by NAME]",
    summary:
      "makes what was kept of an end user, or of a key's requests without one, unreadable for good; reason and name stay in the log",
    options: {
      workspace: { type: "string" },
      "end-user": { type: "string" },
      key: { type: "string" },
      "dry-run": { type: "boolean" },
      reason: { type: "string" },
      by: { type: "string" },
    },
    async run({ connection, output, flags }) {
      const subject = subjectOf(flags);
      const workspace = required(flags, "workspace");
      const to = connection();
      const request = {
        workspaceId: await workspaceId(to, workspace),
        subject,
        reason: flags.text("reason") ?? "",
        requestedBy: flags.text("by") ?? "",
        dryRun: flags.on("dry-run"),
      };
      const done = await to.client(audit.ErasureService).erase(request, to.call);
      output.message(audit.EraseResponseSchema, done, ({ erasing, payloads }) =>
        erasing === undefined ? `${payloads} payloads would be unreadable` : erasureTable([erasing]),
      );
      if (done.erasing !== undefined)
        output.note(
          "Nobody can read it here any more. It is complete once copies cannot be read, either: `weir audit erasures list`.",
        );
    },
  },
  {
    name: "audit erasures list",
    usage: "[--limit 100]",
    summary: "erasures, newest first, and what those that are not complete wait for",
    options: { limit: { type: "string" } },
    async run({ connection, output, flags }) {
      const { client, call } = connection();
      const limit = Number(wholeNumber("--limit", flags.text("limit") ?? "100", 1n));
      const found = await client(audit.ErasureService).listErasures({ limit }, call);
      output.message(audit.ListErasuresResponseSchema, found, ({ erasures }) => erasureTable(erasures));
    },
  },
  {
    name: "audit erasures run",
    usage: "[--abandon PRODUCER]…",
    summary:
      "does now what erasures wait for, as far as it can be done; --abandon where a producer's disk is lost: what it had not shipped will be unreadable",
    options: { abandon: { type: "string", multiple: true } },
    async run({ connection, output, flags }) {
      const { client, call } = connection();
      const abandonedProducers = flags.list("abandon");
      const left = await client(audit.ErasureService).advanceErasures({ abandonedProducers }, call);
      output.message(audit.AdvanceErasuresResponseSchema, left, ({ erasures }) =>
        erasures.length === 0 ? "all erasures are complete" : erasureTable(erasures),
      );
    },
  },
  {
    name: "audit erasure-proof",
    usage: "<erasure> <file> [--leaves 100]",
    summary:
      "a proof that a subject was erased: its records, and that those that lost their text are in the log as before; to be checked with `audit verify`",
    words: { least: 2, most: 2 },
    options: { leaves: { type: "string" } },
    async run({ connection, output, flags, args }) {
      const [id = "", path = ""] = args;
      const most = Number(wholeNumber("--leaves", flags.text("leaves") ?? "100"));
      const to = connection();
      const { client, call } = to;
      const { erasing } = await client(audit.ErasureService).getErasure({ id }, call);
      if (erasing === undefined) throw new Error("the answer has no erasure");
      const proofs = client(audit.AuditProofService);
      const prove = async (index: bigint) =>
        toJson(
          audit.ProveInclusionResponseSchema,
          await proofs.proveInclusion({ record: { case: "index", value: index } }, call),
        );
      const { completedIndex } = erasing;
      const complete = completedIndex !== undefined;
      const indexes = await erasedLeaves(to, id, !complete);
      const records = await Promise.all([erasing.index, ...(complete ? [completedIndex] : [])].map(prove));
      const leaves: unknown[] = [];
      for (const index of indexes.slice(0, most)) leaves.push(await prove(index));
      const keys = await proofs.listSigningKeys({}, call);
      const text = {
        weir_erasure_proof: 1,
        erasure: toJson(audit.ErasingSchema, erasing),
        keys: toJson(audit.ListSigningKeysResponseSchema, keys),
        records,
        indexes: indexes.map(String),
        leaves,
      };
      writeFileSync(path, `${JSON.stringify(text)}\n`, { mode: 0o600 });
      output.note(
        `${records.length} records of the erasure and ${leaves.length} of ${indexes.length} records without their text, in ${path}${complete ? "" : "; it is not complete yet"}`,
      );
    },
  },
];
