import type { ServiceImpl } from "@connectrpc/connect";
import type { audit } from "@weir/contracts";
import type { Handling } from "./routes.ts";

type Audit = ServiceImpl<typeof audit.AuditService>;
type Producer = ServiceImpl<typeof audit.ProducerService>;

/** For producers, whom the transport lets in by the mesh token. It tells the public half only. */
export const getTransportKey =
  ({ key }: Handling): Producer["getTransportKey"] =>
  () => ({ publicKey: key.publicKey() });

export const transportKey =
  ({ key, requireAdmin }: Handling): Audit["transportKey"] =>
  (_request, context) => {
    requireAdmin(context.requestHeader);
    return { publicKey: key.publicKey() };
  };
