import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { CallOptions } from "@connectrpc/connect";
import { audit, policy, router } from "@weir/contracts";
import { fromConnectError } from "@weir/mesh";
import { loadPriceBook, type Price, type PriceBook, readPriceBook } from "@weir/pricing";
import { UsageError } from "./command.ts";
import type { Connection } from "./connection.ts";

export interface Range {
  readonly fromMs: bigint;
  readonly toMs: bigint;
}

/** A model that the log has calls of. */
export interface UsedModel {
  readonly name: string;
  readonly provider: string;
  readonly model: string;
}

const RUN_MS = 3_600_000;

/** A whole history takes longer than other questions. */
const patient = (call: CallOptions): CallOptions => ({ ...call, timeoutMs: RUN_MS });

export interface RepriceOptions extends Range {
  readonly workspaceId: string;
  readonly dryRun: boolean;
  readonly byDay?: boolean;
}

export async function reprice(
  { client, call }: Connection,
  sheet: Sheet,
  options: RepriceOptions,
): Promise<audit.Repricing> {
  // A price has the message's fields; what it leaves out is left out there, too.
  const request = { ...options, sheet } as MessageInitShape<typeof audit.RepriceRequestSchema>;
  for await (const { message } of client(audit.CostService).reprice(request, patient(call)))
    if (message.case === "done") return message.value;
  throw new Error("the audit service ended before its result");
}

/** Anything's price is unknown: what is then told is what there is. */
const NOTHING: Sheet = { version: "none", prices: [] };

/** What the log has, as it was recorded. */
export const recorded = (connection: Connection, options: Omit<RepriceOptions, "dryRun">): Promise<audit.Repricing> =>
  reprice(connection, NOTHING, { ...options, dryRun: true });

export function usedModels({ groups }: audit.Repricing): UsedModel[] {
  const used = new Map<string, UsedModel>();
  for (const { name, provider, model } of groups)
    used.set(JSON.stringify([name, provider, model]), { name, provider, model });
  return [...used.values()];
}

interface SheetPrice {
  readonly provider: string;
  readonly model: string;
  readonly name?: string;
  readonly workspaceId?: string;
  readonly fromMs?: bigint;
  readonly toMs?: bigint;
  readonly price?: router.DatedPrice["price"] | Price;
}

export interface Sheet {
  readonly version: string;
  readonly prices: SheetPrice[];
}

/** An edition of the price book by what an operator calls it: "bundled", or the file of another. */
export async function bookNamed(name: string): Promise<PriceBook> {
  if (name === "bundled") return loadPriceBook();
  let text: string;
  try {
    text = await readFile(name, "utf8");
  } catch (cause) {
    throw new UsageError(`there is no price book "${name}": name the file of one, or "bundled"`, { cause });
  }
  try {
    return await readPriceBook(JSON.parse(text), basename(name));
  } catch (cause) {
    throw new UsageError(`${name} is no price book as genai-prices publishes it (prices/new_data/v2/data.json)`, {
      cause,
    });
  }
}

/** By which book each configured provider is priced; those that are not in it have prices of their own. */
export async function booksOfProviders({ client, call }: Connection): Promise<Map<string, string>> {
  const { models } = await client(router.RouterService).listModels({}, call);
  const candidates = models.flatMap((one) => one.candidates);
  return new Map(candidates.filter(({ priceBook }) => priceBook !== "").map((one) => [one.provider, one.priceBook]));
}

export async function sheetOfBook(connection: Connection, book: PriceBook, used: readonly UsedModel[]): Promise<Sheet> {
  const books = await booksOfProviders(connection);
  const prices = used.flatMap(({ provider, model }) => {
    const schedule = book.schedule(books.get(provider) ?? "", model);
    return schedule.map(
      ({ fromMs, price }, index): SheetPrice => ({
        provider,
        model,
        fromMs: BigInt(fromMs),
        toMs: BigInt(schedule[index + 1]?.fromMs ?? 0),
        ...(price === undefined ? {} : { price }),
      }),
    );
  });
  return { version: book.version, prices };
}

/** What is charged now: with overrides and contracts. A name that is routed elsewhere by now is asked for as its provider's model. */
export async function liveSheet(connection: Connection, used: readonly UsedModel[]): Promise<Sheet> {
  const { client, call } = connection;
  const { workspaces } = await client(policy.PolicyAdminService).listWorkspaces({}, call);
  const idOf = new Map(workspaces.map(({ id, name }) => [name, id]));
  const prices: SheetPrice[] = [];
  for (const { name, provider, model } of used) {
    const candidate =
      (await candidateOf(connection, name, provider, model)) ??
      (await candidateOf(connection, `${provider}/${model}`, provider, model));
    if (candidate === undefined) continue;
    const of = { provider, model, name };
    if (candidate.prices.length === 0) prices.push(priced(of, candidate.price));
    for (const { workspace, fromMs, toMs, price } of candidate.prices) {
      // A contract for a workspace that does not exist counts for nobody.
      const workspaceId = workspace === "" ? "" : idOf.get(workspace);
      if (workspaceId !== undefined) prices.push(priced({ ...of, workspaceId, fromMs, toMs }, price));
    }
  }
  return { version: "live", prices };
}

const priced = (of: SheetPrice, price: SheetPrice["price"]): SheetPrice =>
  price === undefined ? of : { ...of, price };

async function candidateOf(
  { client, call }: Connection,
  asked: string,
  provider: string,
  model: string,
): Promise<router.Candidate | undefined> {
  try {
    const { candidates } = await client(router.RouterService).explainRoute({ model: asked }, call);
    const found = candidates.find(({ candidate }) => candidate?.provider === provider && candidate.model === model);
    return found?.candidate;
  } catch (error) {
    if (fromConnectError(error).reason === "model_not_found") return undefined;
    throw error;
  }
}

export const sheetNamed = async (connection: Connection, name: string, used: readonly UsedModel[]): Promise<Sheet> =>
  name === "live" ? liveSheet(connection, used) : sheetOfBook(connection, await bookNamed(name), used);
