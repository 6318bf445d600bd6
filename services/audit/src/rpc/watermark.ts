import type { ServiceImpl } from "@connectrpc/connect";
import type { audit } from "@weir/contracts";
import type { Handling } from "./routes.ts";

type WatermarkRpc = ServiceImpl<typeof audit.AuditService>["watermark"];

/** For producers, which the transport lets in by the mesh token; it tells numbers only. */
export const watermark =
  ({ log }: Handling): WatermarkRpc =>
  async (request) => {
    const marks = await log.watermarks(request.producers);
    return { marks: marks.map((mark) => ({ ...mark, contiguous: BigInt(mark.contiguous) })) };
  };
