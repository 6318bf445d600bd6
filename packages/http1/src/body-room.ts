import { HttpSyntaxError } from "./errors.ts";

/** What all bodies of a server take together. */
export interface SharedRoom {
  hasRoomFor(bytes: number): boolean;
  /** So many more are held; negative: fewer. */
  hold(bytes: number): void;
}

/** The part of it that one connection's request takes, from the first byte of its body until it is answered. */
export class BodyRoom {
  private readonly shared: SharedRoom;
  private bytes = 0;

  constructor(shared: SharedRoom) {
    this.shared = shared;
  }

  /** @throws HttpSyntaxError 503 where there is no room for so many more */
  check(bytes: number): void {
    if (this.shared.hasRoomFor(bytes)) return;
    throw new HttpSyntaxError("the bodies of other requests take all the room there is", 503, "overloaded");
  }

  /** @throws HttpSyntaxError 503 */
  take(bytes: number): void {
    this.check(bytes);
    this.bytes += bytes;
    this.shared.hold(bytes);
  }

  release(): void {
    if (this.bytes === 0) return;
    this.shared.hold(-this.bytes);
    this.bytes = 0;
  }
}
