// Records without end, and tells on stdout what was acknowledged. Told "answer-first", it tells before that: the control, which must lose.
import { writeSync } from "node:fs";
import { openSpool } from "../src/index.ts";
import { spoolOptions } from "./support-options.ts";

const [directory = "", mode = ""] = process.argv.slice(2);
const spool = await openSpool(spoolOptions(directory));
const none = new Uint8Array(0);
for (const { producer, open } of spool.recovered) {
  for (const { number, header } of open) {
    await spool.resolve({ producer, number }, Buffer.from(`unknown ${Buffer.from(header).toString()}`));
  }
  spool.recoveredDone(producer);
}

async function client(name: number): Promise<void> {
  for (let at = 0; ; at += 1) {
    const request = `${spool.producer}/${name}/${at}`;
    const intent = await spool.intent(Buffer.from(request), none, 100);
    const outcome = spool.outcome(intent, Buffer.from(request), Buffer.alloc(300));
    if (mode !== "answer-first") await outcome;
    writeSync(1, `${request}\n`);
    await outcome;
  }
}
await Promise.all(Array.from({ length: 16 }, (_, name) => client(name)));
