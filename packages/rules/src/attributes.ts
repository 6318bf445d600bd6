/** What a request says of itself besides its key: who it is for, and what. */
export interface RequestAttributes {
  /** The client's name for its end user; "": none. */
  readonly endUser: string;
  readonly tags: Readonly<Record<string, string>>;
}

export type AttributeKind = "end-user" | "tag";

/** An end user, or a tag with one of its values, that somebody set bounds for. */
export interface Attribute {
  readonly kind: AttributeKind;
  /** The end user, or the tag's name. */
  readonly name: string;
  /** A tag's value; "" for an end user. */
  readonly value: string;
}

/** The attributes of a workspace, prepared to be found by what a request says. */
export interface AttributeTable<T extends Attribute> {
  readonly all: readonly T[];
  readonly endUsers: ReadonlyMap<string, T>;
  /** By name, then by value. */
  readonly tags: ReadonlyMap<string, ReadonlyMap<string, T>>;
}

/** @returns undefined for none, so that whoever has none pays for a comparison and no more */
export function attributeTable<T extends Attribute>(all: readonly T[]): AttributeTable<T> | undefined {
  if (all.length === 0) return undefined;
  const endUsers = new Map<string, T>();
  const tags = new Map<string, Map<string, T>>();
  for (const attribute of all) {
    if (attribute.kind === "end-user") endUsers.set(attribute.name, attribute);
    else tags.set(attribute.name, (tags.get(attribute.name) ?? new Map<string, T>()).set(attribute.value, attribute));
  }
  return { all, endUsers, tags };
}

/** The attributes that a request has: its end user first, then its tags in the order of the table's names. */
export function attributesOf<T extends Attribute>(table: AttributeTable<T>, request: RequestAttributes): readonly T[] {
  let found: T[] | undefined;
  const user = request.endUser === "" ? undefined : table.endUsers.get(request.endUser);
  if (user !== undefined) found = [user];
  for (const [name, byValue] of table.tags) {
    // A tag may be called "constructor".
    if (!Object.hasOwn(request.tags, name)) continue;
    const tag = byValue.get(request.tags[name] as string);
    if (tag !== undefined) (found ??= []).push(tag);
  }
  return found ?? NONE;
}

const NONE: readonly never[] = [];
