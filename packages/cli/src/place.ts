import type { ParseArgsOptionsConfig } from "node:util";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { policy } from "@weir/contracts";
import { tagOf } from "@weir/rules";
import { type Flags, UsageError } from "./command.ts";

/** Where rules, a budget or a limit stand: one of these flags, or an end user or a tag of a workspace. */
export const PLACE_OPTIONS = {
  organization: { type: "string" },
  workspace: { type: "string" },
  project: { type: "string" },
  key: { type: "string" },
  "end-user": { type: "string" },
  tag: { type: "string" },
} satisfies ParseArgsOptionsConfig;

export const PLACE_USAGE =
  "--organization O | --workspace W | --project P | --key K | [--workspace W] --end-user U | [--workspace W] --tag name=value";

type PlaceInit = MessageInitShape<typeof policy.PlaceSchema>;

export function placeOf(flags: Flags): PlaceInit {
  const [endUser, tag] = [flags.text("end-user"), flags.text("tag")];
  const given = (["organization", "workspace", "project", "key"] as const).flatMap((name) => {
    const value = flags.text(name);
    return value === undefined ? [] : [{ case: name, value }];
  });
  const wrong = new UsageError(`needs exactly one of ${PLACE_USAGE}`);
  if (endUser === undefined && tag === undefined) {
    const [place, other] = given;
    if (place === undefined || other !== undefined) throw wrong;
    return { place };
  }
  const workspace = flags.text("workspace") ?? "default";
  if ((endUser !== undefined && tag !== undefined) || given.some((place) => place.case !== "workspace")) throw wrong;
  if (endUser !== undefined) return { place: { case: "endUser", value: { workspace, name: endUser } } };
  const parted = tagOf(tag ?? "");
  if (parted === undefined) throw new UsageError("--tag is written name=value");
  return { place: { case: "tag", value: { workspace, ...parted } } };
}

export function placeText(place: policy.Place | undefined): string {
  const of = place?.place;
  switch (of?.case) {
    case undefined:
      return "";
    case "endUser":
      return `end-user/${of.value.name}`;
    case "tag":
      return `tag/${of.value.name}=${of.value.value}`;
    case "organization":
    case "workspace":
    case "project":
    case "key":
      return `${of.case}/${of.value}`;
  }
}

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
