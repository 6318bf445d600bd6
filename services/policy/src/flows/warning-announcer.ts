/** Puts warnings on the event stream: at least once, by whichever replica sees them first. Fails open: no request waits for it. */
import { webhookBody } from "../domain/webhook.ts";
import type { PublishEvent, Warnings } from "../ports.ts";

const MOST_AT_ONCE = 64;

/** One round: all that are not announced yet. */
export function warningAnnouncer(warnings: Warnings, publish: PublishEvent): () => Promise<void> {
  return async () => {
    for (let found = MOST_AT_ONCE; found === MOST_AT_ONCE; ) {
      const rows = await warnings.unannounced(MOST_AT_ONCE);
      for (const warning of rows) {
        await publish("budget.warning", `warning_${warning.id}`, webhookBody(warning));
        await warnings.announced(warning.id);
      }
      found = rows.length;
    }
  };
}
