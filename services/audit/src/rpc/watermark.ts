import type { ServiceImpl } from "@connectrpc/connect";
import type { audit } from "@weir/contracts";
import type { Handling } from "./routes.ts";

type Audit = ServiceImpl<typeof audit.AuditService>;
type Producer = ServiceImpl<typeof audit.ProducerService>;

async function marksOf({ log }: Handling, producers: readonly string[]) {
  const marks = await log.watermarks(producers);
  return { marks: marks.map((mark) => ({ ...mark, contiguous: BigInt(mark.contiguous) })) };
}

/** For producers, whom the transport lets in by the mesh token. */
export const getWatermarks =
  (handling: Handling): Producer["getWatermarks"] =>
  (request) =>
    marksOf(handling, request.producers);

export const watermark =
  (handling: Handling): Audit["watermark"] =>
  (request, context) => {
    handling.requireAdmin(context.requestHeader);
    return marksOf(handling, request.producers);
  };
