import type { ServiceImpl } from "@connectrpc/connect";
import type { audit } from "@weir/contracts";
import type { TransportKeys } from "../ports.ts";

type Audit = ServiceImpl<typeof audit.AuditService>;
type Producer = ServiceImpl<typeof audit.ProducerService>;

export interface TransportKeyHandling {
  readonly transport: Pick<TransportKeys, "newest">;
  /** @throws WeirError audit_unavailable */
  readonly transportKeyFor: (producer: string) => Promise<{ readonly number: number; readonly publicKey: Uint8Array }>;
  readonly requireAdmin: (headers: Headers) => void;
}

/** For producers, whom the transport lets in by the mesh token. It tells the public half only. */
export const getTransportKey =
  ({ transportKeyFor }: TransportKeyHandling): Producer["getTransportKey"] =>
  async ({ producer }) => {
    const { number, publicKey } = await transportKeyFor(producer);
    return { publicKey, number: BigInt(number) };
  };

export const transportKey =
  ({ transport, requireAdmin }: TransportKeyHandling): Audit["transportKey"] =>
  (_request, context) => {
    requireAdmin(context.requestHeader);
    return { publicKey: transport.newest().publicKey };
  };
