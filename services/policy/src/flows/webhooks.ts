import { WeirError } from "@weir/kernel";
import { type Caller, requireVisible } from "../domain/authority.ts";
import type { WarningRow, WebhookRow } from "../domain/books.ts";
import type { DirectoryAdmin, Keysmith, Warnings } from "../ports.ts";
import { listedWorkspace } from "./admin-places.ts";

export interface WebhookDependencies {
  readonly directory: DirectoryAdmin;
  readonly warnings: Warnings;
  readonly keysmith: Keysmith;
  /** @throws Error for an address that may not be sent to, as far as its text says */
  readonly checkUrl: (url: URL) => void;
}

/** The form of the Standard Webhooks specification. */
const SECRET_PREFIX = "whsec_";
const SECRET_BYTES = 32;

async function workspaceOf({ directory }: WebhookDependencies, caller: Caller, name: string): Promise<string> {
  const place = await directory.find("workspace", name);
  requireVisible(caller, place, name);
  return place.id;
}

export async function putWebhook(
  dependencies: WebhookDependencies,
  caller: Caller,
  workspace: string,
  url: string,
): Promise<{ webhook: WebhookRow; secret: string }> {
  const { warnings, keysmith, checkUrl } = dependencies;
  const workspaceId = await workspaceOf(dependencies, caller, workspace);
  if (!URL.canParse(url)) throw badUrl("it is no URL");
  const parsed = new URL(url);
  if (parsed.username !== "" || parsed.password !== "") throw badUrl("it has a password in it");
  try {
    checkUrl(parsed);
  } catch (error) {
    throw badUrl(error instanceof Error ? error.message : "it may not be sent to");
  }
  const secret = SECRET_PREFIX + Buffer.from(keysmith.random(SECRET_BYTES)).toString("base64");
  return { webhook: await warnings.putWebhook(workspaceId, parsed.href, secret), secret };
}

const badUrl = (why: string): WeirError =>
  new WeirError("invalid_request", `A webhook cannot have this address: ${why}.`, { param: "url" });

export async function listWebhooks(
  { directory, warnings }: WebhookDependencies,
  caller: Caller,
  workspace: string,
): Promise<WebhookRow[]> {
  return warnings.webhooks(await listedWorkspace(directory, caller, workspace));
}

export async function deleteWebhook(
  dependencies: WebhookDependencies,
  caller: Caller,
  workspace: string,
): Promise<void> {
  const workspaceId = await workspaceOf(dependencies, caller, workspace);
  if (await dependencies.warnings.deleteWebhook(workspaceId)) return;
  throw new WeirError("not_found", "This workspace has no webhook.", { param: "workspace" });
}

export async function listWarnings(
  { directory, warnings }: WebhookDependencies,
  caller: Caller,
  workspace: string,
  most: number,
): Promise<WarningRow[]> {
  return warnings.list(await listedWorkspace(directory, caller, workspace), most);
}
