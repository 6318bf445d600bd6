/**
 * The export of an audit log: lines of JSON, the first one saying what it is, then keys, heads and leaves in any order (leaves among each other in
 * log order). A file of tree heads, as second places keep them, has lines of heads only and is read the same way.
 */
import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import { fromJson, type JsonValue, toJson } from "@bufbuild/protobuf";
import { audit } from "@weir/contracts";
import type { EndorsedKey, SignedHead } from "@weir/proofs";

export type ExportLine =
  | { readonly kind: "leaf"; readonly leaf: audit.LogLeaf }
  | { readonly kind: "head"; readonly head: SignedHead; readonly keys: readonly EndorsedKey[] }
  | { readonly kind: "key"; readonly key: EndorsedKey }
  | { readonly kind: "about"; readonly filtered: boolean }
  | { readonly kind: "unreadable"; readonly line: number; readonly why: string };

/** @param filtered it has only some of the records */
export const aboutLine = (logId: Uint8Array, size: bigint, filtered: boolean): string =>
  JSON.stringify({
    weir_audit_export: 1,
    log_id: Buffer.from(logId).toString("hex"),
    size: String(size),
    ...(filtered ? { filtered: true } : {}),
  });

export const keyLine = (key: EndorsedKey): string => JSON.stringify({ key: keyJson(key) });

const keyJson = (key: EndorsedKey): object => ({
  public_key: base64(key.publicKey),
  endorsement: base64(key.endorsement),
});

export const headLine = (head: audit.SignedTreeHead, keys: readonly EndorsedKey[] = []): string =>
  JSON.stringify({
    weir_tree_head: 1,
    size: Number(head.size),
    root: base64(head.root),
    at: new Date(Number(head.atMs)).toISOString(),
    head: base64(head.head),
    key_id: base64(head.keyId),
    signature: base64(head.signature),
    ...(keys.length === 0 ? {} : { keys: keys.map(keyJson) }),
  });

export const leafLine = (leaf: audit.LogLeaf): string => JSON.stringify({ leaf: toJson(audit.LogLeafSchema, leaf) });

/** The lines of a file, one by one: a log larger than memory can be read. What is no line of ours is one, too: whoever verifies must know. */
export async function* exportLines(path: string): AsyncGenerator<ExportLine> {
  let number = 0;
  for await (const line of createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY })) {
    number++;
    if (line === "") continue;
    try {
      yield parsedLine(line);
    } catch (error) {
      yield { kind: "unreadable", line: number, why: error instanceof Error ? error.message : String(error) };
    }
  }
}

/** @throws Error for what is no line of an export */
export function parsedLine(text: string): ExportLine {
  const value: unknown = JSON.parse(text);
  if (typeof value !== "object" || value === null) throw new Error("not a JSON object");
  const object = value as Readonly<Record<string, unknown>>;
  if ("leaf" in object) return { kind: "leaf", leaf: fromJson(audit.LogLeafSchema, object["leaf"] as JsonValue) };
  if ("key" in object) return { kind: "key", key: keyOf(object["key"]) };
  if (object["weir_audit_export"] === 1) return { kind: "about", filtered: object["filtered"] === true };
  if (object["weir_tree_head"] !== 1) throw new Error("neither a leaf nor a head nor a key");
  const keys = object["keys"] ?? [];
  if (!Array.isArray(keys)) throw new Error("`keys` is no list");
  return {
    kind: "head",
    head: {
      head: bytes(object, "head"),
      keyId: bytes(object, "key_id"),
      signature: bytes(object, "signature"),
    },
    keys: keys.map(keyOf),
  };
}

function keyOf(value: unknown): EndorsedKey {
  if (typeof value !== "object" || value === null) throw new Error("a key is an object");
  const object = value as Readonly<Record<string, unknown>>;
  return { publicKey: bytes(object, "public_key"), endorsement: bytes(object, "endorsement") };
}

function bytes(object: Readonly<Record<string, unknown>>, name: string): Uint8Array {
  const text = object[name];
  if (typeof text !== "string" || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) throw new Error(`\`${name}\` is not base64`);
  return Buffer.from(text, "base64");
}

const base64 = (data: Uint8Array): string => Buffer.from(data).toString("base64");
