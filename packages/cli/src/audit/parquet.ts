import type { audit } from "@weir/contracts";

/** A row group is kept in memory until it is full. */
const ROWS_PER_GROUP = 50_000;

interface Column {
  readonly type: "INT32" | "INT64" | "STRING" | "TIMESTAMP" | "BYTE_ARRAY";
  readonly of: (leaf: audit.LogLeaf) => string | number | bigint | Date | Uint8Array;
}

const COLUMNS: Readonly<Record<string, Column>> = {
  log_index: { type: "INT64", of: (leaf) => leaf.index },
  producer: { type: "STRING", of: (leaf) => leaf.producer },
  number: { type: "INT64", of: (leaf) => leaf.number },
  kind: { type: "INT32", of: (leaf) => leaf.kind },
  at: { type: "TIMESTAMP", of: (leaf) => new Date(Number(leaf.columns?.atMs ?? 0n)) },
  request_id: { type: "STRING", of: (leaf) => leaf.columns?.requestId ?? "" },
  workspace_id: { type: "STRING", of: (leaf) => leaf.columns?.workspaceId ?? "" },
  key_id: { type: "STRING", of: (leaf) => leaf.columns?.keyId ?? "" },
  model: { type: "STRING", of: (leaf) => leaf.columns?.model ?? "" },
  provider: { type: "STRING", of: (leaf) => leaf.columns?.provider ?? "" },
  outcome: { type: "INT32", of: (leaf) => leaf.columns?.outcome ?? 0 },
  status: { type: "INT64", of: (leaf) => leaf.columns?.status ?? 0n },
  input_tokens: { type: "INT64", of: (leaf) => leaf.columns?.inputTokens ?? 0n },
  output_tokens: { type: "INT64", of: (leaf) => leaf.columns?.outputTokens ?? 0n },
  cost_nanos: { type: "INT64", of: (leaf) => leaf.columns?.costNanos ?? 0n },
  leaf_hash: { type: "BYTE_ARRAY", of: (leaf) => leaf.leafHash },
  header: { type: "BYTE_ARRAY", of: (leaf) => leaf.header },
};

export interface ParquetExport {
  add(leaf: audit.LogLeaf): Promise<void>;
  finish(): Promise<void>;
}

/** Records as a table, for analysis; what verifies is the export in lines of JSON. The library loads only for this. */
export async function parquetExport(path: string): Promise<ParquetExport> {
  const { fileWriter, ParquetWriter, schemaFromColumnData } = await import("hyparquet-writer");
  const columnData = (leaves: readonly audit.LogLeaf[]) =>
    Object.entries(COLUMNS).map(([name, { type, of }]) => ({
      name,
      type,
      data: leaves.map((leaf) => of(leaf)),
      nullable: false,
    }));
  const writer = new ParquetWriter({
    writer: fileWriter(path),
    schema: schemaFromColumnData({ columnData: columnData([]) }),
  });
  let waiting: audit.LogLeaf[] = [];
  const flush = async (): Promise<void> => {
    if (waiting.length > 0) await writer.write({ columnData: columnData(waiting) });
    waiting = [];
  };
  return {
    async add(leaf) {
      waiting.push(leaf);
      if (waiting.length === ROWS_PER_GROUP) await flush();
    },
    async finish() {
      await flush();
      await writer.finish();
    },
  };
}
