/** Who waits for something to happen. */
export class Waiters {
  private waiting: (() => void)[] = [];

  get any(): boolean {
    return this.waiting.length > 0;
  }

  join(): Promise<void> {
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  wake(): void {
    for (const resolve of this.waiting.splice(0)) resolve();
  }
}
