import pg from "pg";
import { expect, test } from "vitest";
import { isUnavailable } from "./unavailable.ts";

const sql = (code: string): Error => Object.assign(new pg.DatabaseError("message", 1, "error"), { code });
const system = (code: string): Error => Object.assign(new Error("message"), { code });

test("a store that is away, starting, full or overloaded is an outage", () => {
  for (const code of ["08006", "57P01", "57P03", "57014", "53300", "58030", "25006", "40P01"]) {
    expect(isUnavailable(sql(code)), code).toBe(true);
  }
  for (const code of ["ECONNREFUSED", "ECONNRESET", "EPIPE", "ENOENT"])
    expect(isUnavailable(system(code)), code).toBe(true);
  expect(isUnavailable(new AggregateError([system("ECONNREFUSED"), system("ECONNREFUSED")]))).toBe(true);
  expect(isUnavailable(new Error("Connection terminated unexpectedly"))).toBe(true);
  expect(isUnavailable(new Error("wrapped", { cause: system("ECONNRESET") }))).toBe(true);
});

test("what the call is to blame for is not", () => {
  for (const code of ["42601", "42501", "23505", "22P02", "28P01", "3D000", "P0001"]) {
    expect(isUnavailable(sql(code)), code).toBe(false);
  }
  expect(isUnavailable(new AggregateError([system("ECONNREFUSED"), new TypeError("x")]))).toBe(false);
  expect(isUnavailable(new TypeError("undefined is not a function"))).toBe(false);
  expect(isUnavailable("Connection terminated")).toBe(false);
  expect(isUnavailable(undefined)).toBe(false);
});
