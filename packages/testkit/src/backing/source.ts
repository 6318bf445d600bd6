import type { BackingService } from "./backing-service.ts";
import { canInstall, installWithApt } from "./binaries.ts";
import { dockerAnswers } from "./docker.ts";

export interface Source<Binary> {
  readonly name: string;
  readonly debianPackage: string;
  find(): Promise<Binary | undefined>;
  local(binary: Binary): Promise<BackingService>;
  container(): Promise<BackingService>;
}

/** The machine's own binary, else a container, else what apt-get brings, else an error that says what to do. */
export async function startFrom<Binary>(source: Source<Binary>): Promise<BackingService> {
  const binary = await source.find();
  if (binary !== undefined) return source.local(binary);
  if (await dockerAnswers()) return source.container();
  if (canInstall()) {
    await installWithApt(source.debianPackage);
    const installed = await source.find();
    if (installed !== undefined) return source.local(installed);
  }
  throw new Error(
    `${source.name} is not on this machine. Install it (Debian, Ubuntu: apt-get install ${source.debianPackage}), ` +
      "or start Docker, and try again.",
  );
}
