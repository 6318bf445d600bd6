export { keptSecret, readSecret } from "./kept-secret.ts";
export { type NumberedSecrets, numberedSecrets } from "./numbered-secrets.ts";
export { createOpener, type Opener, openWithKey, recipientOf, SealError } from "./open.ts";
export { createSealer, type Sealer } from "./seal.ts";
export { type Subject, subjectDigest } from "./subject.ts";
export { unwrap, wrap, WRAPPED_KEY_BYTES } from "./wrap.ts";
export { keyIdOf, newPrivateKey, privateKeyOf, publicKeyOf } from "./x25519.ts";
