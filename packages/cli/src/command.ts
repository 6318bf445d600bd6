import type { ParseArgsOptionsConfig } from "node:util";
import type { Connection } from "./connection.ts";
import type { Output } from "./output.ts";

/** The parsed flags of a command: each by its name. */
export interface Flags {
  text(name: string): string | undefined;
  list(name: string): string[];
  on(name: string): boolean;
}

export interface Invocation {
  /** Connects when it is first asked. */
  readonly connection: () => Connection;
  readonly output: Output;
  readonly flags: Flags;
  /** What stands without a flag's name, after the command's own name. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
}

export interface Command {
  /** As it is typed: "keys create". */
  readonly name: string;
  /** What follows it: "<model> [--provider NAME]…". */
  readonly usage: string;
  readonly summary: string;
  readonly options?: ParseArgsOptionsConfig;
  /** How many words it wants after its name. Default 0. */
  readonly words?: { readonly least: number; readonly most: number };
  run(invocation: Invocation): Promise<void>;
}

/** The command was typed wrongly: exit code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

export const required = (flags: Flags, name: string): string => {
  const value = flags.text(name);
  if (value === undefined) throw new UsageError(`--${name} is missing`);
  return value;
};

/** A whole number from `least` on. */
export function wholeNumber(name: string, text: string, least = 0n): bigint {
  if (!/^\d{1,18}$/.test(text) || BigInt(text) < least)
    throw new UsageError(`${name} is a whole number from ${least} on`);
  return BigInt(text);
}

/** The value that belongs to a name, e.g. an enum's; tells the names there are. */
export function choice<T>(name: string, text: string, choices: Readonly<Record<string, T>>): T {
  const value = Object.hasOwn(choices, text) ? choices[text] : undefined;
  if (value === undefined) throw new UsageError(`${name} is one of ${Object.keys(choices).join(", ")}`);
  return value;
}
