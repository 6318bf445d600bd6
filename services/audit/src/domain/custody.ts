/** Who can make a payload unreadable, and by what it can be read until then. */
export interface Custody {
  /** The random name of its subject's key. */
  readonly subject: string;
  /** The payload's own key under its subject's; undefined: that was destroyed before the payload came. */
  readonly wrappedKey: Uint8Array | undefined;
}

/** A subject was erased between the moment when its key was looked up and the one when a payload was to be stored. */
export class SubjectErasedError extends Error {
  override readonly name = "SubjectErasedError";

  constructor() {
    super("a subject was erased meanwhile");
  }
}
