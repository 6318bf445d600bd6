import { setTimeout as sleep } from "node:timers/promises";
import type { Client } from "@connectrpc/connect";
import type { router } from "@weir/contracts";
import { fromConnectError } from "@weir/mesh";
import { type Candidate, CAPABILITIES, type Capability } from "../domain/bound.ts";
import type { Shadow } from "../domain/shadow.ts";
import type { ListedModel, Models } from "../ports.ts";

type RouterClient = Client<typeof router.RouterService>;

const REFRESH_MS = 2_000;
const RETRY_MS = 250;
/** Names that are not listed, and were asked for: so many are kept, so that a caller who invents names cannot fill the memory. */
const MAX_FOUND = 1_000;
const FIND_TIMEOUT_MS = 5_000;

interface Listed {
  readonly candidates: ReadonlyMap<string, readonly Candidate[]>;
  readonly list: readonly ListedModel[];
  readonly shadows: ReadonlyMap<string, Shadow>;
}

/** A price has the message's fields: it is used as it came. */
const candidateOf = (of: router.Candidate): Candidate => ({
  provider: of.provider,
  model: of.model,
  region: of.region,
  plan: {
    always: of.price,
    dated: of.prices.map(({ workspace, fromMs, toMs, price }) => ({
      workspace,
      fromMs: Number(fromMs),
      toMs: Number(toMs),
      price,
    })),
  },
  contextWindow: of.contextWindow,
  maxOutputTokens: of.maxOutputTokens,
  countsTokens: of.countsTokens,
  capabilities: capabilitiesOf(of.capabilities),
});

const capabilitiesOf = (known: router.ModelCapabilities | undefined): ReadonlySet<Capability> =>
  new Set(
    known === undefined
      ? []
      : CAPABILITIES.filter((name) => known[name === "structured_output" ? "structuredOutput" : name] === true),
  );

function listedOf(response: router.ListModelsResponse): Listed {
  const list = response.models.map(({ id, candidates }) => ({ id, candidates: candidates.map(candidateOf) }));
  const shadows = response.models.flatMap(({ id, shadow }) => (shadow === undefined ? [] : [[id, shadow] as const]));
  return { candidates: new Map(list.map(({ id, candidates }) => [id, candidates])), list, shadows: new Map(shadows) };
}

/** The router's models, asked for every two seconds; the last list stays in force while the router is away. */
export class ListedModels implements Models, AsyncDisposable {
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  readonly #client: RouterClient;
  #found = new Map<string, readonly Candidate[]>();
  #listed: Listed | undefined;
  #version = "";

  constructor(client: RouterClient, onError: (error: unknown) => void) {
    this.#client = client;
    this.#running = this.#run(onError);
  }

  candidates(model: string): readonly Candidate[] | undefined {
    return this.#listed?.candidates.get(model);
  }

  shadow(model: string): Shadow | undefined {
    return this.#listed?.shadows.get(model);
  }

  list(): Listed["list"] {
    return this.#listed?.list ?? [];
  }

  notReady(): string | undefined {
    return this.#listed === undefined ? "the router has not listed its models yet" : undefined;
  }

  async find(model: string): Promise<readonly Candidate[]> {
    const known = this.#found.get(model);
    if (known !== undefined) return known;
    let candidates: readonly Candidate[];
    try {
      const response = await this.#client.explainRoute({ model }, { timeoutMs: FIND_TIMEOUT_MS });
      candidates = response.candidates.flatMap(({ candidate }) =>
        candidate === undefined ? [] : candidateOf(candidate),
      );
    } catch (failure) {
      throw fromConnectError(failure, "router_unavailable");
    }
    if (this.#found.size >= MAX_FOUND) this.#found = new Map();
    this.#found.set(model, candidates);
    return candidates;
  }

  async #run(onError: (error: unknown) => void): Promise<void> {
    const { signal } = this.#stop;
    let failing = false;
    while (!signal.aborted) {
      try {
        const response = await this.#client.listModels({}, { signal, timeoutMs: 5_000 });
        if (response.version !== this.#version || this.#listed === undefined) {
          this.#listed = listedOf(response);
          this.#found = new Map();
        }
        this.#version = response.version;
        failing = false;
      } catch (error) {
        if (signal.aborted) return;
        if (!failing) onError(error);
        failing = true;
      }
      await sleep(failing ? RETRY_MS : REFRESH_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }
}
