export interface Line {
  /** At x = 0. */
  readonly intercept: number;
  /** Its 95 % interval. */
  readonly low: number;
  readonly high: number;
}

const Z_95 = 1.959963984540054;

/** Least squares of y on x, in one pass; keeps six numbers whatever it is given. */
export class Regression {
  private n = 0;
  private meanX = 0;
  private meanY = 0;
  private xx = 0;
  private xy = 0;
  private yy = 0;

  /** Sums are of differences from the means (B. Welford, 1962): large values lose nothing. */
  add(x: number, y: number): void {
    this.n++;
    const dx = x - this.meanX;
    const dy = y - this.meanY;
    this.meanX += dx / this.n;
    this.meanY += dy / this.n;
    this.xx += dx * (x - this.meanX);
    this.xy += dx * (y - this.meanY);
    this.yy += dy * (y - this.meanY);
  }

  /** @returns undefined where no line is known: fewer than three points, or all x the same */
  line(): Line | undefined {
    const { n, meanX, xx } = this;
    if (n < 3 || !(xx > 1e-12 * n)) return undefined;
    const slope = this.xy / xx;
    const intercept = this.meanY - slope * meanX;
    const residual = Math.max(0, this.yy - slope * this.xy) / (n - 2);
    const error = Z_95 * Math.sqrt(residual * (1 / n + meanX ** 2 / xx));
    return { intercept, low: intercept - error, high: intercept + error };
  }
}
