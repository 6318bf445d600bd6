export { type BackingOptions, type BackingService } from "./backing/backing-service.ts";
export { freePort } from "./backing/free-port.ts";
export { startNats } from "./backing/nats.ts";
export { type BackingPostgres, startPostgres } from "./backing/postgres.ts";
export { startRedis } from "./backing/redis.ts";
export { type FakeClock, fakeClock } from "./fake-clock.ts";
export { type BootedWeir, type BootOptions, bootWeir, type Composition, COMPOSITIONS } from "./boot.ts";
