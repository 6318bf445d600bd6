import { expect, test } from "vitest";
import { isTimeZone } from "./time-zone.ts";

test("names of IANA are time zones; offsets, nonsense and nothing are not", () => {
  for (const name of ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+5"])
    expect(isTimeZone(name), name).toBe(true);
  for (const name of ["", "+02:00", "Europe/Atlantis", "UTC; drop table budget", " UTC"])
    expect(isTimeZone(name), name).toBe(false);
});
