import type { ServiceImpl } from "@connectrpc/connect";
import type { audit } from "@weir/contracts";
import type { Handling } from "./routes.ts";

type TransportKeyRpc = ServiceImpl<typeof audit.AuditService>["transportKey"];

/** For producers, as `Watermark` is: it tells the public half only. */
export const transportKey =
  ({ key }: Handling): TransportKeyRpc =>
  () => ({ publicKey: key.publicKey() });
