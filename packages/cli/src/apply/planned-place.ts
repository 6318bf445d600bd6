import type { MessageInitShape } from "@bufbuild/protobuf";
import type { policy } from "@weir/contracts";

/** A place of the file. */
export interface PlannedPlace {
  /** "workspace/search" */
  readonly label: string;
  readonly place: MessageInitShape<typeof policy.PlaceSchema>;
  /** As `placeKey` has it; undefined: it is not there yet. */
  readonly key: string | undefined;
  readonly rules: policy.Rules | undefined;
}

/** Names a place of the wire, so that a budget is found by where it stands. */
export function placeKey(place: policy.Place | undefined): string {
  const of = place?.place;
  switch (of?.case) {
    case "endUser":
      return `end-user/${of.value.workspace}/${of.value.name}`;
    case "tag":
      return `tag/${of.value.workspace}/${of.value.name}=${of.value.value}`;
    case undefined:
      return "";
    case "organization":
    case "workspace":
    case "project":
    case "key":
      return `${of.case}/${of.value}`;
  }
}
