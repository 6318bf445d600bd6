/** Does something again and again until the signal fires. What fails is told, and tried again. @param task how long to wait before the next time */
export async function keepDoing(
  task: () => Promise<number>,
  {
    wait,
    signal,
    onError,
  }: { wait: (ms: number) => Promise<void>; signal: AbortSignal; onError: (error: unknown) => void },
): Promise<void> {
  const AFTER_FAILURE_MS = 30_000;
  while (!signal.aborted) {
    let waitMs = AFTER_FAILURE_MS;
    try {
      waitMs = await task();
    } catch (error) {
      if (!signal.aborted) onError(error);
    }
    // It rejects when the service ends.
    if (!signal.aborted) await wait(waitMs).catch(() => undefined);
  }
}
