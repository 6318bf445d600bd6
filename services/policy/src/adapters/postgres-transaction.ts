import { WeirError } from "@weir/kernel";
import { isUnavailable } from "@weir/storage";
import pg from "pg";

/**
 * A change of the directory. All of them go one after the other, by the lock on the version: a budget put on a workspace and a key made in
 * it at the same moment must not miss each other.
 * @throws WeirError where Postgres is away, or a name is taken; else what `work` throws. Nothing of it stays then
 */
export function directoryChange<T>(pool: pg.Pool, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  return withClearErrors(async () => {
    const client = await pool.connect();
    let broken = true;
    try {
      await client.query("begin");
      await client.query("select from version for update");
      let result: T;
      try {
        result = await work(client);
      } catch (error) {
        await client.query("rollback");
        broken = false;
        throw error;
      }
      await client.query("commit");
      broken = false;
      return result;
    } finally {
      client.release(broken);
    }
  });
}

export async function withClearErrors<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof pg.DatabaseError && error.code === "23505") {
      throw new WeirError("already_exists", "Something of this name exists already.", { param: "name", cause: error });
    }
    if (isUnavailable(error)) {
      throw new WeirError("policy_unavailable", "The directory is away right now.", {
        retryAfterMs: 1000,
        cause: error,
      });
    }
    throw error;
  }
}
