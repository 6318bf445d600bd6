export { keptSecret, readSecret } from "./kept-secret.ts";
export { openSealed, SealError } from "./open.ts";
export { createSealer, type Sealer } from "./seal.ts";
export { keyIdOf, newPrivateKey, privateKeyOf, publicKeyOf } from "./x25519.ts";
