/**
 * Start-time fair queueing (Goyal, Vin, Cheng 1996), with virtual time in units of cost per weight. A flow that waits is served when its
 * start tag is the smallest; being served costs it cost / weight of virtual time, and nothing else does: who leaves pays nothing.
 *
 * Promise: while two flows both wait, what they were served per weight differs by no more than cost_f / weight_f + cost_g / weight_g, of the
 * largest cost of each. So shares are the weights in the long run, nobody starves, and a flow that did not wait before is served after at
 * most one request of each other flow. A flow that has not waited for a while has no claim to what it did not use.
 *
 * Within a flow the higher priority goes first, then who came first: priority moves nobody of another flow.
 */
export interface Waiter {
  readonly id: string;
  readonly flow: string;
  readonly weight: number;
  /** Above 0. */
  readonly cost: number;
  readonly priority: number;
}

interface Flow<W extends Waiter> {
  readonly name: string;
  weight: number;
  /** Of the next one to be served; says something only while some wait. */
  start: number;
  finish: number;
  /** In the order in which they are served. */
  readonly waiting: W[];
}

export class FairQueue<W extends Waiter> {
  readonly #maxLength: number;
  readonly #flows = new Map<string, Flow<W>>();
  readonly #flowOf = new Map<string, Flow<W>>();
  #virtualTime = 0;

  constructor(maxLength: number) {
    this.#maxLength = maxLength;
  }

  get length(): number {
    return this.#flowOf.size;
  }

  /**
   * A full queue makes room at the cost of the flow that has the most waiting per weight, of which the last one goes: a flow that floods
   * keeps nobody else out.
   * @returns who has to go: this waiter, or another; undefined: nobody
   */
  add(waiter: W): W | undefined {
    const flow = this.#flowFor(waiter);
    if (flow.waiting.length === 0) flow.start = Math.max(this.#virtualTime, flow.finish);
    const after = flow.waiting.findIndex((other) => other.priority < waiter.priority);
    flow.waiting.splice(after === -1 ? flow.waiting.length : after, 0, waiter);
    this.#flowOf.set(waiter.id, flow);
    if (this.length <= this.#maxLength) return undefined;
    const out = this.#longest(flow).waiting.at(-1);
    if (out !== undefined) this.remove(out.id);
    return out;
  }

  /** Whose turn it is. */
  head(): W | undefined {
    let first: Flow<W> | undefined;
    for (const flow of this.#flows.values())
      if (flow.waiting.length > 0 && (first === undefined || flow.start < first.start)) first = flow;
    return first?.waiting[0];
  }

  /** It was served: its flow pays. */
  serve(id: string): void {
    const flow = this.#flowOf.get(id);
    const waiter = flow?.waiting.find((one) => one.id === id);
    if (flow === undefined || waiter === undefined) return;
    this.#virtualTime = Math.max(this.#virtualTime, flow.start);
    flow.finish = flow.start + waiter.cost / flow.weight;
    flow.start = flow.finish;
    this.remove(id);
  }

  /** It waits no more, and was not served. */
  remove(id: string): boolean {
    const flow = this.#flowOf.get(id);
    if (flow === undefined) return false;
    this.#flowOf.delete(id);
    flow.waiting.splice(
      flow.waiting.findIndex((waiter) => waiter.id === id),
      1,
    );
    this.#forget();
    return true;
  }

  #flowFor({ flow: name, weight }: W): Flow<W> {
    let flow = this.#flows.get(name);
    if (flow === undefined) {
      flow = { name, weight, start: 0, finish: 0, waiting: [] };
      this.#flows.set(name, flow);
    }
    flow.weight = weight;
    return flow;
  }

  /** The newcomer's flow where several are as long: those that wait already stay. */
  #longest(newcomers: Flow<W>): Flow<W> {
    let longest = newcomers;
    for (const flow of this.#flows.values())
      if (flow.waiting.length / flow.weight > longest.waiting.length / longest.weight) longest = flow;
    return longest;
  }

  /** Flows that do not wait and owe nothing would get the same tags if they were not known. */
  #forget(): void {
    for (const flow of this.#flows.values())
      if (flow.waiting.length === 0 && flow.finish <= this.#virtualTime) this.#flows.delete(flow.name);
  }
}
