import type { ParseArgsOptionsConfig } from "node:util";
import type { policy } from "@weir/contracts";
import { type Flags, UsageError } from "./command.ts";

/** Where a budget or a limit stands: exactly one of these flags. */
export const PLACE_OPTIONS = {
  organization: { type: "string" },
  workspace: { type: "string" },
  project: { type: "string" },
  key: { type: "string" },
} satisfies ParseArgsOptionsConfig;

export const PLACE_USAGE = "--organization O | --workspace W | --project P | --key K";

type PlaceInit = { place: { case: "organization" | "workspace" | "project" | "key"; value: string } };

export function placeOf(flags: Flags): PlaceInit {
  const given = (["organization", "workspace", "project", "key"] as const).flatMap((name) => {
    const value = flags.text(name);
    return value === undefined ? [] : [{ place: { case: name, value } }];
  });
  const [place, other] = given;
  if (place === undefined || other !== undefined) throw new UsageError(`needs exactly one of ${PLACE_USAGE}`);
  return place;
}

export const placeText = (place: policy.Place | undefined): string =>
  place?.place.case === undefined ? "" : `${place.place.case}/${place.place.value}`;

/** Exactly one of the flags, e.g. of the units of an amount. */
export function onlyOne<N extends string>(flags: Flags, names: readonly N[]): { name: N; text: string } {
  const given = names.flatMap((name) => {
    const text = flags.text(name);
    return text === undefined ? [] : [{ name, text }];
  });
  const [only, other] = given;
  if (only === undefined || other !== undefined) {
    throw new UsageError(`needs exactly one of ${names.map((name) => `--${name}`).join(", ")}`);
  }
  return only;
}
