import { createHash } from "node:crypto";

/** Whose a payload is: a workspace's end user; where the request named none, its key. */
export type Subject = { readonly workspaceId: string } & ({ readonly endUser: string } | { readonly keyId: string });

/** 32 bytes that stand for a subject. Names are easily guessed: it MUST NOT be kept in clear. Lengths come first: no two subjects are the same bytes. */
export function subjectDigest(subject: Subject): Buffer {
  const [kind, name] = "endUser" in subject ? ["end user", subject.endUser] : ["key", subject.keyId];
  const digest = createHash("sha256");
  for (const part of ["weir subject 1", kind, subject.workspaceId, name])
    digest.update(`${Buffer.byteLength(part)}:`).update(part);
  return digest.digest();
}
