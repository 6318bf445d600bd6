import { createHash, createPublicKey, hash, verify } from "node:crypto";
import { audit } from "@weir/contracts";
import {
  type EndorsedKey,
  type Findings,
  LogVerifier,
  type Problem,
  sameBytes,
  type Sha256,
  type SignedHead,
  type VerifySignature,
} from "@weir/proofs";
import { exportLines } from "./export-file.ts";
import { factsOf, wrongColumn } from "./leaf-columns.ts";

export const sha256: Sha256 = (bytes) => hash("sha256", bytes, "buffer");
const NO_PAYLOAD = createHash("sha256").digest();

/** Of every Ed25519 public key in DER (RFC 8410). */
const SPKI = Buffer.from("302a300506032b6570032100", "hex");

export const verifySignature: VerifySignature = (publicKey, message, signature) => {
  try {
    const key = createPublicKey({ key: Buffer.concat([SPKI, publicKey]), type: "spki", format: "der" });
    return verify(null, message, key, signature);
  } catch {
    return false; // no key of this kind
  }
};

export interface Verdict {
  /** What is wrong, for people; none: all is well. */
  readonly problems: readonly string[];
  readonly leaves: number;
  /** How many leaves are as they were when a head was signed. */
  readonly provenTo: number;
  readonly heads: number;
  /** What retention has removed, and the indexes of the records that say so. */
  readonly removed: Findings["removed"];
  readonly producers: Findings["producers"];
}

/**
 * Checks an export against heads. Reads the file twice: heads and keys first.
 * @param headFiles whatever the auditor kept; where there are none, the heads in the export itself, which show less: a log cut back to an
 * older head looks whole
 */
export async function verifyExport(
  path: string,
  headFiles: readonly string[],
  trustedKeys: readonly Uint8Array[],
  producerKeys: readonly Uint8Array[] = [],
): Promise<Verdict> {
  const keys: EndorsedKey[] = [];
  const problems: string[] = [];
  const headsOf = async (file: string, wanted: boolean): Promise<SignedHead[]> => {
    const heads: SignedHead[] = [];
    for await (const line of exportLines(file)) {
      if (line.kind === "key") keys.push(line.key);
      if (line.kind === "head") keys.push(...line.keys);
      if (line.kind === "head" && wanted) heads.push(line.head);
      if (line.kind === "about" && line.filtered) {
        throw new Error("this export has only some of the records: whether a log is whole is told by a whole one only");
      }
      if (line.kind === "unreadable" && file !== path) problems.push(`${file}: line ${line.line}: ${line.why}`);
    }
    return heads;
  };
  const kept: SignedHead[] = [];
  for (const file of headFiles) kept.push(...(await headsOf(file, true)));
  const own = await headsOf(path, headFiles.length === 0);
  const heads = distinct([...kept, ...own]);
  if (heads.length === 0) problems.push("there is no tree head to check against");

  const verifier = new LogVerifier(sha256, verifySignature, trustedKeys, distinctKeys(keys), heads, producerKeys);
  for await (const line of exportLines(path)) {
    if (line.kind === "unreadable") problems.push(`line ${line.line}: ${line.why}`);
    if (line.kind === "leaf") takeLeaf(line.leaf, verifier, problems);
  }
  const { problems: found, ...findings } = verifier.finish();
  return { ...findings, problems: [...problems, ...found.map(describe)], heads: heads.length };
}

function takeLeaf(leaf: audit.LogLeaf, verifier: LogVerifier, problems: string[]): void {
  const index = Number(leaf.index);
  let facts: ReturnType<typeof factsOf>;
  try {
    facts = leaf.headerRemoved ? undefined : factsOf(leaf);
    const wrong = facts === undefined ? undefined : wrongColumn(leaf, facts);
    if (wrong !== undefined) problems.push(`leaf ${index}: the log's column ${wrong} is not what the record says`);
  } catch (error) {
    problems.push(`leaf ${index}: its header cannot be read (${error instanceof Error ? error.message : "unknown"})`);
  }
  if (leaf.sealedPayload.length > 0 && !sameBytes(sha256(leaf.sealedPayload), leaf.payloadDigest)) {
    problems.push(`leaf ${index}: its payload is not the one that was recorded`);
  }
  verifier.take({
    ...leafRecord(leaf),
    index,
    storedHash: leaf.leafHash,
    closes: leaf.kind === audit.RecordKind.EPOCH_CLOSE,
    predecessor: facts?.predecessor,
    removed: leaf.headerRemoved ? "record" : leaf.payloadRemoved ? "payload" : undefined,
    own: facts?.own,
    publicKey: facts?.publicKey,
    signature: facts?.signature,
  });
}

/** What the leaf commits to. */
export const leafRecord = (leaf: audit.LogLeaf) => ({
  producer: leaf.producer,
  number: Number(leaf.number),
  kind: leaf.kind,
  intentNumber: Number(leaf.intentNumber),
  intentProducer: leaf.intentProducer,
  payloadOmitted: leaf.payloadOmitted,
  header: leaf.header,
  payloadDigest: leaf.payloadDigest.length === 0 ? NO_PAYLOAD : leaf.payloadDigest,
});

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

const distinct = (heads: readonly SignedHead[]): SignedHead[] => [
  ...new Map(heads.map((head) => [`${hex(head.head)} ${hex(head.signature)}`, head])).values(),
];
const distinctKeys = (keys: readonly EndorsedKey[]): EndorsedKey[] => [
  ...new Map(keys.map((key) => [`${hex(key.publicKey)} ${hex(key.endorsement)}`, key])).values(),
];

const span = (first: number, last: number): string => (first === last ? `${first}` : `${first} to ${last}`);

export function describe(problem: Problem): string {
  switch (problem.kind) {
    case "bad-head":
      return `tree head ${problem.head + 1} of those given is not believed: ${problem.why}`;
    case "missing-leaf":
      return `missing: leaf ${span(problem.first, problem.last)}`;
    case "misplaced-leaf":
      return `out of order: leaf ${problem.index} stands where ${problem.expected} belongs`;
    case "changed-leaf":
      return `changed: leaf ${problem.index} (${problem.producer} #${problem.number}) is not what its hash says`;
    case "unreadable-leaf":
      return `leaf ${problem.index} cannot be read: ${problem.why}`;
    case "wrong-root":
      return `changed: leaves ${span(problem.first, problem.last)} are not those that the tree head of size ${problem.size} was signed for`;
    case "missing-record":
      return `missing: ${problem.producer} #${span(problem.first, problem.last)} was numbered by its producer and is not in the log`;
    case "undeclared-removal":
      return `removed: the ${problem.subject === "records" ? "header" : "payload"} of leaf ${span(problem.first, problem.last)}, and no retention record says so`;
    case "not-removed":
      return `leaf ${span(problem.first, problem.last)} is there, and a retention record says that it was removed`;
    case "unlawful-removal":
      return `removed against the rules: by the record at leaf ${problem.index}: ${problem.why}`;
    case "unsigned-record":
      return `not signed: ${problem.producer} #${span(problem.first, problem.last)} was put into the log by somebody else than its producer, or what signed it was taken out`;
    case "signed-otherwise":
      return `changed: leaf ${problem.index} is not what ${problem.producer} signed as #${problem.number}`;
    case "bad-signature":
      return `leaf ${problem.index}: the signature in the name of ${problem.producer} is not valid: ${problem.why}`;
    case "producer-key":
      return `leaf ${problem.index}: ${problem.producer} is not believed: ${problem.why}`;
    case "broken-promise":
      return `missing: of ${problem.producer}, the tree head of size ${problem.size} had all to #${problem.promised}, the log has all to #${problem.found}`;
  }
}
