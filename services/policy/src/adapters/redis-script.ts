import { createHash } from "node:crypto";
import type { Redis } from "ioredis";
import { ScriptsRefusedError } from "../ports.ts";

/** A proxy that knows no scripts, or a user who may not run them: nothing that waiting heals. */
const REFUSED = /^(?:ERR unknown (?:or unsupported )?command|ERR.*not (?:supported|allowed)|NOPERM|NOSCRIPT)/i;
const UNKNOWN_HASH = /^(?:NOSCRIPT|ERR unknown (?:or unsupported )?command.*evalsha)/i;

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** A script that Redis knows by its hash; told once, and again after Redis forgot it (a restart). */
export class Script {
  readonly #text: string;
  readonly #sha: string;

  constructor(text: string) {
    this.#text = text;
    this.#sha = createHash("sha1").update(text).digest("hex");
  }

  /** @throws ScriptsRefusedError; other errors as the client has them */
  async run(redis: Redis, argv: (string | number)[]): Promise<unknown> {
    try {
      return await this.#evaluate(redis, argv);
    } catch (error) {
      const message = messageOf(error);
      if (!REFUSED.test(message)) throw error;
      throw new ScriptsRefusedError(`Redis refuses the scripts that limits are made of: ${message}`, { cause: error });
    }
  }

  async #evaluate(redis: Redis, argv: (string | number)[]): Promise<unknown> {
    try {
      return await redis.evalsha(this.#sha, 0, ...argv);
    } catch (error) {
      // It was not executed, so sending it again executes it once.
      if (UNKNOWN_HASH.test(messageOf(error))) return await redis.eval(this.#text, 0, ...argv);
      throw error;
    }
  }
}
