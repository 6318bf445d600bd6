import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { WeirError } from "@weir/kernel";
import { keptSecret } from "@weir/sealing";
import type pg from "pg";

const FILE = "audit-folder.id";

/** Failure policy: closed. A replica with another folder, or one that is not mounted, must not take keys for destroyed that lie elsewhere. */
export interface KeyFolder {
  /** The first folder that is used with a database is the database's. @throws WeirError internal where this is another one */
  requireOwn(client: Pick<pg.ClientBase, "query">): Promise<void>;
}

export function keyFolder(dataDir: string): KeyFolder {
  return {
    async requireOwn(client) {
      // Read each time: it may be mounted, or gone, since.
      const id = keptSecret(join(dataDir, FILE), randomUUID).toString();
      const { rows } = await client.query<{ own: boolean }>(OWN, [id]);
      if (rows[0]?.own === true) return;
      await client.query("insert into audit_keys.folder (id) values ($1) on conflict do nothing", [id]);
      const again = await client.query<{ own: boolean }>(OWN, [id]);
      if (again.rows[0]?.own === true) return;
      throw new WeirError(
        "internal",
        "Audit's data folder is not the one that the keys of its database lie in: give all replicas the same one. Where that is lost, see the operator's handbook.",
      );
    },
  };
}

const OWN = "select id::text = $1 as own from audit_keys.folder";
