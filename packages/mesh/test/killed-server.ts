import type { DescService } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import { router } from "@weir/contracts";
import { serveRoutes } from "../src/index.ts";

/** A process that serves until it is killed; tells its parent the port. */
const implementation: Partial<ServiceImpl<typeof router.RouterService>> = {
  listModels: () => ({ version: "alive" }),
  async *streamComplete() {
    for (;;) {
      yield { message: { case: "frame" as const, value: Buffer.from("x") } };
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  },
};
const route = { service: router.RouterService, implementation: implementation as Partial<ServiceImpl<DescService>> };
const server = await serveRoutes([route], { listen: { host: "127.0.0.1", port: Number(process.argv[2]) } });
process.send?.(server.port);
