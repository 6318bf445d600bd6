/**
 * Makes copies of requests for a model's shadow, in the background: each is a request of its own, with an id, a hold and a record that names what
 * it is a copy of; its answer goes nowhere but there. Nothing of it reaches the request that is copied: not its time, not its budgets, not its
 * end, and its client's leaving does not end the copy. Where a copy cannot be made at once there is none.
 */
import { type Clock, WeirError } from "@weir/kernel";
import { authenticate } from "../domain/key.ts";
import type { Grant } from "../domain/grant.ts";
import { maySee, nameOf, type Shadow, shadowGrant } from "../domain/shadow.ts";
import type { KeyDirectory, Models } from "../ports.ts";
import type { Complete } from "./complete.ts";
import type { InFlight } from "./in-flight.ts";
import type { Open, Opened } from "./open.ts";
import type { Stream, StreamSink } from "./stream.ts";
import { type Incoming, newTrail, type Trail } from "./trail.ts";

/** What became of a request that was chosen to be copied. */
export type ShadowEnd =
  | Trail["outcome"]
  /** So many run already, or records are not shipped. */
  | "dropped"
  /** The key that pays is not known, has expired, or is of the caller's own workspace. */
  | "no_key"
  /** The caller's rules keep its requests from this provider or region. */
  | "not_permitted";

export interface ShadowPorts<Input, Event> {
  readonly models: Pick<Models, "shadow" | "candidates" | "find">;
  readonly keys: Pick<KeyDirectory, "byId" | "freshness">;
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly newRequestId: (nowMs: number) => string;
  /** Whether there is room to record what nobody waits for. */
  readonly hasRoom: () => boolean;
  readonly inFlight: InFlight;
  readonly complete: Complete<Input, unknown>;
  readonly embed: Complete<Input, unknown>;
  readonly stream: Stream<Input, Event>;
  readonly ended: (model: string, end: ShadowEnd) => void;
  readonly defect: (error: unknown, requestId: string) => void;
}

export class Shadows<Input, Event> {
  readonly #ports: ShadowPorts<Input, Event>;
  /** Copies that run, by the model that was asked for. */
  readonly #running = new Map<string, number>();
  readonly #open = new Set<AbortController>();
  readonly #grants = new WeakMap<Grant, { readonly paying: Grant; readonly grant: Grant | undefined }>();
  #closed = false;

  constructor(ports: ShadowPorts<Input, Event>) {
    this.#ports = ports;
  }

  /** The same way in, for a route whose requests may be copied. */
  around(open: Open, method: "chat" | "embed"): Open {
    return async (incoming, trail, signal) => {
      const opened = await open(incoming, trail, signal);
      const shadow = this.#ports.models.shadow(opened.call.model);
      if (shadow === undefined) return opened;
      try {
        // Its input is what this route's flows take.
        this.#copy(shadow, incoming as Incoming<never>, opened as Opened<never>, method);
      } catch (error) {
        // The request is recorded and held already: it must come to its own end.
        this.#ports.defect(error, incoming.requestId);
      }
      return opened;
    };
  }

  /** Ends the copies that run, and makes no more. */
  close(): void {
    this.#closed = true;
    for (const gone of this.#open) gone.abort(new WeirError("shutting_down", "This instance is shutting down."));
  }

  #copy(shadow: Shadow, incoming: Incoming<Input>, opened: Opened<Input>, method: "chat" | "embed"): void {
    const { random, hasRoom, ended, inFlight, clock, newRequestId, defect } = this.#ports;
    const { model } = opened.call;
    if (this.#closed || random() >= shadow.share) return;
    const running = this.#running.get(model) ?? 0;
    if (running >= shadow.maxConcurrent || !hasRoom()) return ended(model, "dropped");
    const grant = this.#grantFor(shadow, opened.grant);
    if (grant === undefined) return ended(model, "no_key");
    const copy = copyOf(incoming, opened, grant, newRequestId(clock.nowMs()), nameOf(shadow));
    const trail = newTrail(copy.requestId, copy.route, clock.monotonicMs());
    trail.grant = grant;
    const gone = new AbortController();
    this.#running.set(model, running + 1);
    this.#open.add(gone);
    inFlight.begin(trail, gone);
    // The request itself goes first.
    setImmediate(() => {
      this.#run(copy, trail, gone.signal, method)
        .then(
          (end) => ended(model, end),
          (error: unknown) => {
            if (!(error instanceof WeirError) || error.reason === "internal") defect(error, copy.requestId);
            ended(model, trail.outcome);
          },
        )
        .finally(() => {
          this.#running.set(model, (this.#running.get(model) ?? 1) - 1);
          this.#open.delete(gone);
          inFlight.end(trail);
        });
    });
  }

  async #run(copy: Incoming<Input>, trail: Trail, signal: AbortSignal, method: "chat" | "embed"): Promise<ShadowEnd> {
    const { models, complete, embed, stream } = this.#ports;
    const { model } = copy.shape;
    if (!maySee(copy.grant, models.candidates(model) ?? (await models.find(model)))) return "not_permitted";
    if (method === "embed") await embed(copy, trail, signal);
    else if (copy.shape.stream) await stream(copy, trail, NOWHERE, signal);
    else await complete(copy, trail, signal);
    return trail.outcome;
  }

  /** @returns undefined: nobody pays */
  #grantFor({ keyId }: Shadow, asked: Grant): Grant | undefined {
    const { keys, clock } = this.#ports;
    const paying = keys.byId(keyId);
    try {
      authenticate(paying?.key, keys.freshness(), clock.nowMs());
    } catch {
      // Not known, expired, or nobody can say: the request that is copied has been let in already.
      return undefined;
    }
    if (paying === undefined) return undefined;
    const known = this.#grants.get(asked);
    if (known?.paying === paying) return known.grant;
    const grant = shadowGrant(asked, paying);
    this.#grants.set(asked, { paying, grant });
    return grant;
  }
}

/** What its guardrails let through is what is copied. */
const copyOf = <Input>(
  incoming: Incoming<Input>,
  { call, inputBytes, shape, intent, subject }: Opened<Input>,
  grant: Grant,
  requestId: string,
  model: string,
): Incoming<Input> => ({
  ...incoming,
  requestId,
  grant,
  shape: { ...shape, model },
  input: call.input,
  inputBytes,
  tags: intent.tags,
  clientRequestId: "",
  traceparent: undefined,
  runId: "",
  // It waits for nobody.
  waiting: { maxWaitMs: 0, priority: 0 },
  idempotencyKey: "",
  shadowOf: incoming.requestId,
  // Who pays did not say it: what erases the request's texts erases its copy's.
  subject,
});

const NOWHERE: StreamSink<unknown> = {
  start: () => undefined,
  frame: () => true,
  event: () => true,
  drained: () => Promise.resolve(),
  finish: () => undefined,
};
