import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { isKnownScalar } from "./codec-scalars.ts";

/** A message as the codec sees it: its fields by their local names. */
export type Fields = Record<string, unknown>;

export type UnknownFields = { readonly no: number; readonly wireType: number; readonly data: Uint8Array }[];

// google.protobuf.FeatureSet.FieldPresence.IMPLICIT: a field that is absent when it is zero.
const IMPLICIT = 2;

export const isImplicit = (field: DescField): boolean => field.presence === IMPLICIT;

const PROTO3 = 999;

/**
 * Whether a type, with all it contains, is made of what our contracts are made of: proto3, no groups, no fixed-width or zigzag integers, no
 * integers as text, maps with text keys, no type that protobuf-es keeps in a form of its own (wrappers, Struct).
 */
export function canCompile(desc: DescMessage, seen = new Set<DescMessage>()): boolean {
  if (seen.has(desc)) return true;
  seen.add(desc);
  if (desc.file.edition !== PROTO3 || desc.typeName.startsWith("google.protobuf.")) return false;
  return desc.fields.every((field) => {
    if (field.message !== undefined && !canCompile(field.message, seen)) return false;
    if (field.scalar !== undefined && !isKnownScalar(field.scalar)) return false;
    if (
      (field.fieldKind === "scalar" || (field.fieldKind === "list" && field.listKind === "scalar")) &&
      field.longAsString
    ) {
      return false;
    }
    return field.fieldKind !== "map" || field.mapKey === ScalarType.STRING;
  });
}
