/** Resolves at the first SIGTERM or SIGINT; the second ends the process at once. */
export function stopSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      process.once(signal, () => resolve(signal)); // `once`: the next one has its default effect
    }
  });
}
