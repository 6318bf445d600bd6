import { closeSync, openSync, readFileSync, readSync, writeFileSync, writeSync } from "node:fs";
import { fromJson, type JsonValue, toJson } from "@bufbuild/protobuf";
import { audit } from "@weir/contracts";
import { ERASURE_PROOF_START, verifyErasureProof } from "../audit/erasure-proof.ts";
import { aboutLine, headLine, keyLine, leafLine } from "../audit/export-file.ts";
import { checkInclusion } from "../audit/inclusion.ts";
import { parquetExport } from "../audit/parquet.ts";
import { verifyExport } from "../audit/verify-export.ts";
import { isFiltered, RECORD_OPTIONS, RECORD_USAGE, recordFilter } from "../audit/record-flags.ts";
import { choice, type Command, type Flags, UsageError, wholeNumber } from "../command.ts";
import { table, time } from "../output.ts";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");
const number = (flags: Flags, name: string): bigint => wholeNumber(`--${name}`, flags.text(name) ?? "0");

const SHOWN = 20;
const some = (names: readonly string[]): string =>
  [...names.slice(0, SHOWN), ...(names.length > SHOWN ? [`and ${names.length - SHOWN} more`] : [])].join(", ");

/** An Ed25519 public key: base64 or hex of its 32 bytes, or a file with it. */
function trustedKey(given: string): Uint8Array {
  const text = /^[A-Za-z0-9+/=]{43,64}$/.test(given) ? given : readFileSync(given, "utf8").trim();
  const key = Buffer.from(text, /^[0-9a-f]{64}$/i.test(text) ? "hex" : "base64");
  if (key.length !== 32) throw new UsageError("--key is a public key of 32 bytes in base64, or a file that holds one");
  return key;
}

function trustedKeys(flags: Flags): Uint8Array[] {
  const keys = flags.list("key").map(trustedKey);
  if (keys.length === 0) {
    throw new UsageError(
      "--key is missing: the log's first public key, which `weir audit keys list` shows and you kept",
    );
  }
  return keys;
}

export const auditProofCommands: readonly Command[] = [
  {
    name: "audit heads",
    usage: "[--limit 20]",
    summary: "signed tree heads, newest first",
    options: { limit: { type: "string" } },
    async run({ connection, output, flags }) {
      const { client, call } = connection();
      const limit = Number(wholeNumber("--limit", flags.text("limit") ?? "20", 1n));
      const found = await client(audit.AuditProofService).listTreeHeads({ limit }, call);
      output.message(audit.ListTreeHeadsResponseSchema, found, ({ heads }) =>
        table(
          ["SIZE", "TIME (UTC)", "ROOT", "KEY"],
          heads.map((head) => [head.size, time(head.atMs), hex(head.root), hex(head.keyId)]),
        ),
      );
    },
  },
  {
    name: "audit keys list",
    usage: "",
    summary: "the keys that sign tree heads, oldest first: an auditor keeps the first one",
    async run({ connection, output }) {
      const { client, call } = connection();
      const found = await client(audit.AuditProofService).listSigningKeys({}, call);
      output.message(audit.ListSigningKeysResponseSchema, found, ({ keys }) =>
        table(
          ["KEY", "MADE (UTC)", "PUBLIC KEY", "ENDORSED"],
          keys.map((key, place) => [
            hex(key.id),
            time(key.createdAtMs),
            base64(key.publicKey),
            key.endorsement.length > 0
              ? "by the one before"
              : place === 0
                ? "the first"
                : "no: the one before was lost",
          ]),
        ),
      );
    },
  },
  {
    name: "audit keys rotate",
    usage: "[--lost]",
    summary: "a new key to sign tree heads with, endorsed by the present one; --lost where that one is gone",
    options: { lost: { type: "boolean" } },
    async run({ connection, output, flags }) {
      const { client, call } = connection();
      const made = await client(audit.AuditProofService).rotateSigningKey({ lost: flags.on("lost") }, call);
      output.message(
        audit.RotateSigningKeyResponseSchema,
        made,
        ({ key }) => `${hex(key?.id ?? new Uint8Array(0))}  ${base64(key?.publicKey ?? new Uint8Array(0))}`,
      );
      if (flags.on("lost")) output.note("Nothing endorses this key: auditors must be told it.");
    },
  },
  {
    name: "audit export",
    usage: `<file> [--format jsonl|parquet] [--from-index N] [--to-index N] [--payloads] ${RECORD_USAGE}`,
    summary:
      "the log into a file: as lines of JSON with all that verifying needs, or as a Parquet table; some of the records only cannot be verified as a log",
    words: { least: 1, most: 1 },
    options: {
      format: { type: "string" },
      "from-index": { type: "string" },
      "to-index": { type: "string" },
      payloads: { type: "boolean" },
      ...RECORD_OPTIONS,
    },
    async run({ connection, output, flags, args }) {
      const format = choice("--format", flags.text("format") ?? "jsonl", { jsonl: "jsonl", parquet: "parquet" });
      const { client, call } = connection();
      const proofs = client(audit.AuditProofService);
      const [path = ""] = args;
      const request = {
        fromIndex: number(flags, "from-index"),
        toIndex: number(flags, "to-index"),
        includePayloads: flags.on("payloads"),
        ...(isFiltered(flags) ? { filter: recordFilter(flags) } : {}),
      };
      // A log may take longer than any deadline for a call.
      const { timeoutMs: _, ...options } = call;
      const leaves = proofs.export(request, options);
      let count = 0;
      if (format === "parquet") {
        const file = await parquetExport(path);
        for await (const part of leaves) {
          for (const leaf of part.leaves) await file.add(leaf);
          count += part.leaves.length;
        }
        await file.finish();
      } else {
        const { keys, logId } = await proofs.listSigningKeys({}, call);
        const { heads } = await proofs.listTreeHeads({ limit: 10_000 }, call);
        const file = openSync(path, "w", 0o600);
        try {
          const size = heads[0]?.size ?? 0n;
          const head = [
            aboutLine(logId, size, isFiltered(flags)),
            ...keys.map(keyLine),
            ...heads.toReversed().map((one) => headLine(one)),
          ];
          writeSync(file, `${head.join("\n")}\n`);
          for await (const part of leaves) {
            writeSync(file, part.leaves.map((leaf) => `${leafLine(leaf)}\n`).join(""));
            count += part.leaves.length;
          }
        } finally {
          closeSync(file);
        }
      }
      output.note(`${count} records in ${path}`);
    },
  },
  {
    name: "audit verify",
    usage: "<file> --key KEY [--heads FILE]… [--producer-key KEY]…",
    summary:
      "checks an export or a proof offline, against the heads and the key that you kept; exit code 1 if anything is wrong",
    words: { least: 1, most: 1 },
    options: {
      key: { type: "string", multiple: true },
      heads: { type: "string", multiple: true },
      "producer-key": { type: "string", multiple: true },
    },
    async run({ output, flags, args }) {
      const [path = ""] = args;
      const keys = trustedKeys(flags);
      if (beginsWith(path, ERASURE_PROOF_START)) {
        for (const line of verifyErasureProof(readFileSync(path, "utf8"), keys)) output.line(line);
        return;
      }
      const proof = inclusionProofIn(path);
      if (proof !== undefined) return verifyProof(proof, keys, (text) => output.line(text));
      const heads = flags.list("heads");
      const producerKeys = flags.list("producer-key").map(trustedKey);
      const verdict = await verifyExport(path, heads, keys, producerKeys);
      for (const problem of verdict.problems) output.line(problem);
      if (heads.length === 0) {
        output.note(
          "Checked against the heads in the export only: with --heads, a log that was cut back is found, too.",
        );
      }
      const { removed, producers } = verdict;
      if (removed.by.length > 0) {
        output.line(
          `${removed.records} records and ${removed.payloads} payloads more were removed by retention: records ${some(removed.by.map(String))}`,
        );
      }
      for (const [line, publicKey] of producers.lines) output.line(`${line} signs with ${base64(publicKey)}`);
      if (producers.unsigned.length > 0) output.note(`these sign nothing: ${some(producers.unsigned)}`);
      if (verdict.problems.length > 0) throw new Error(`the log does not verify: ${verdict.problems.length} problems`);
      output.line(
        `${verdict.leaves} records, ${verdict.provenTo} of them as they were when a head was signed; ${verdict.heads} heads; nothing missing, nothing changed`,
      );
    },
  },
  {
    name: "audit prove",
    usage: "<request id> <file>",
    summary: "a proof that a request's record is in the log, to be checked with `audit verify`",
    words: { least: 2, most: 2 },
    async run({ connection, output, args }) {
      const [requestId = "", path = ""] = args;
      const { client, call } = connection();
      const proofs = client(audit.AuditProofService);
      const record = { case: "requestId" as const, value: requestId };
      const proof = await proofs.proveInclusion({ record }, call);
      const keys = await proofs.listSigningKeys({}, call);
      const text = {
        weir_inclusion_proof: 1,
        proof: toJson(audit.ProveInclusionResponseSchema, proof),
        keys: toJson(audit.ListSigningKeysResponseSchema, keys),
      };
      writeFileSync(path, `${JSON.stringify(text)}\n`, { mode: 0o600 });
      output.note(
        `record ${proof.leaf?.index ?? 0n} under the tree head of size ${proof.head?.size ?? 0n}, in ${path}`,
      );
    },
  },
];

interface InclusionProof {
  readonly proof: audit.ProveInclusionResponse;
  readonly keys: audit.ListSigningKeysResponse;
}

const PROOF_START = '{"weir_inclusion_proof":1,';

/** A proof is one line; an export's first line says that it is one. */
function beginsWith(path: string, text: string): boolean {
  const start = Buffer.alloc(text.length);
  const file = openSync(path, "r");
  try {
    readSync(file, start);
  } finally {
    closeSync(file);
  }
  return start.toString() === text;
}

function inclusionProofIn(path: string): InclusionProof | undefined {
  if (!beginsWith(path, PROOF_START)) return undefined;
  const text = readFileSync(path, "utf8");
  const { proof, keys } = JSON.parse(text) as { proof: JsonValue; keys: JsonValue };
  return {
    proof: fromJson(audit.ProveInclusionResponseSchema, proof),
    keys: fromJson(audit.ListSigningKeysResponseSchema, keys),
  };
}

function verifyProof(
  { proof, keys }: InclusionProof,
  trusted: readonly Uint8Array[],
  line: (text: string) => void,
): void {
  const { leaf, size } = checkInclusion(proof, keys, trusted);
  line(`record ${leaf.index} (${leaf.producer} #${leaf.number}) is in the log of ${size} records`);
  if (leaf.headerRemoved) line("what it said was removed by retention: only its hash is left");
}
