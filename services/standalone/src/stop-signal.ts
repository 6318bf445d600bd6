const LOOK_EVERY_MS = 1_000;

/**
 * Resolves at the first SIGTERM or SIGINT; the second ends the process at once. A process that a package manager started also stops when
 * that one is gone: npx and pnpm do not pass signals on, and nobody would be left to stop it.
 */
export function stopSignal(): Promise<NodeJS.Signals | "orphaned"> {
  return new Promise((resolve) => {
    if (process.env["npm_lifecycle_event"] !== undefined) {
      const parent = process.ppid;
      const look = setInterval(() => {
        if (process.ppid === parent) return;
        clearInterval(look);
        resolve("orphaned");
      }, LOOK_EVERY_MS);
      look.unref();
    }
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      process.once(signal, () => resolve(signal)); // `once`: the next one has its default effect
    }
  });
}
