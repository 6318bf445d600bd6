import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    pool: "forks",
    testTimeout: 20_000,
    hookTimeout: 60_000,
    // Two at a time: the suites that start servers of their own must not starve each other on a small machine.
    maxWorkers: 2,
    projects: [
      { extends: true, test: { name: "unit", include: ["{packages,services}/*/src/**/*.test.ts"] } },
      { extends: true, test: { name: "stores", include: ["{packages,services}/*/test/**/*.test.ts"] } },
      {
        extends: true,
        test: { name: "whole", include: ["test/**/*.test.ts"], testTimeout: 60_000, hookTimeout: 120_000 },
      },
    ],
  },
});
