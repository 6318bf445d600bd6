import { randomUUID } from "node:crypto";
import { policy } from "@weir/contracts";
import { type BackingPostgres, startPostgres, startTokenIssuer, type TokenIssuer } from "@weir/testkit";
import { generateKeyPair, SignJWT } from "jose";
import pg from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { keyCleanup } from "../src/flows/key-cleanup.ts";
import { postgresKeys } from "../src/adapters/postgres-keys.ts";
import { admitOne, reasonOf, type Replica, replica } from "./service-fixture.ts";
import { WatchClient } from "./watch-client.ts";

let postgres: BackingPostgres;
let issuer: TokenIssuer;
let one: Replica;
beforeAll(async () => {
  postgres = await startPostgres();
  issuer = await startTokenIssuer();
  one = await replica(postgres.url, { config: { oidc: { internalOrigins: [issuer.url] } } });
});
afterEach(() => issuer.answer("keys"));
afterAll(async () => {
  await one[Symbol.asyncDispose]();
  await issuer[Symbol.asyncDispose]();
  await postgres[Symbol.asyncDispose]();
});

const { BudgetUnit, BudgetPeriod, LimitSubject, LimitUnit, Scope } = policy;
const HOUR_MS = 3_600_000;
const bearer = (secret: string) => ({ headers: { authorization: `Bearer ${secret}` } });
const onKey = (id: string) => ({ place: { case: "key" as const, value: id } });

async function newKey(asked: Parameters<Replica["admin"]["createKey"]>[0] = {}) {
  const { key, secret } = await one.admin.createKey({ name: "parent", ...asked }, one.asAdmin);
  return { id: key?.id ?? "", secret };
}
type Asked = Parameters<Replica["tokens"]["mintKey"]>[0];
async function mint(parent: { readonly secret: string }, asked: Asked = {}): Promise<policy.ShortLivedKey> {
  const { key } = await one.tokens.mintKey(asked, bearer(parent.secret));
  if (key === undefined) throw new Error("no key was minted");
  return key;
}
const putBudget = (id: string, limit: bigint) =>
  one.admin.putBudget(
    { place: onKey(id), unit: BudgetUnit.NANO_USD, period: BudgetPeriod.TOTAL, limit, hard: true },
    one.asAdmin,
  );
const admits = async (keyId: string, cost = 0n): Promise<boolean> => (await admitOne(one, { keyId, cost })).admitted;

describe("a minted key", () => {
  test("lives an hour unless it is asked otherwise, a day at most, and never longer than its parent", async () => {
    const parent = await newKey();
    const inMs = async (asked: Asked, from = parent): Promise<number> =>
      Number((await mint(from, asked)).expiresAtMs) - Date.now();
    expect(await inMs({})).toBeGreaterThan(HOUR_MS - 60_000);
    expect(await inMs({})).toBeLessThanOrEqual(HOUR_MS);
    expect(await inMs({ terms: { ttlMs: 90_000n } })).toBeLessThanOrEqual(90_000);
    for (const ttlMs of [1n, 86_400_001n, -5n])
      expect(await reasonOf(mint(parent, { terms: { ttlMs } }))).toBe("invalid_request");
    const brief = await newKey({ expiresAtMs: BigInt(Date.now() + 120_000) });
    expect(await inMs({}, brief)).toBeLessThanOrEqual(120_000);
  });

  test("may no more than its parent: scopes, rules, end user, and its child no more than it", async () => {
    const parent = await newKey({ rules: { allowedModels: ["fast", "gpt-*"], maxOutputTokens: 100 } });
    const child = await mint(parent, {
      terms: { rules: { allowedModels: ["gpt-4", "other"], maxOutputTokens: 500 } },
      endUser: "ann",
    });
    expect(child.rules).toMatchObject({ allowedModels: ["gpt-4"], maxOutputTokens: 100 });
    expect(child.scopes).toEqual([Scope.INFERENCE]);
    expect(await reasonOf(mint(parent, { terms: { scopes: [Scope.READ] } }))).toBe("permission_denied");
    const grandchild = await mint(child, { terms: { rules: { allowedModels: ["*"] } } });
    expect(grandchild.rules).toMatchObject({ allowedModels: ["gpt-4"], maxOutputTokens: 100 });
    expect(grandchild.endUser).toBe("ann");
    expect(await reasonOf(mint(child, { endUser: "bob" }))).toBe("permission_denied");
    const admin = await newKey({ scopes: [Scope.ADMIN, Scope.INFERENCE] });
    expect((await mint(admin)).scopes).toEqual([Scope.INFERENCE]);
    expect(await reasonOf(mint(admin, { terms: { scopes: [Scope.ADMIN] } }))).toBe("permission_denied");
    expect(await reasonOf(mint(await newKey({ scopes: [Scope.BILLING] })))).toBe("permission_denied");
    expect(await reasonOf(one.tokens.mintKey({}))).toBe("missing_key");
    expect(await reasonOf(one.tokens.mintKey({}, one.asAdmin))).toBe("invalid_key");
    // Four generations, no more.
    let last = grandchild;
    for (let generation = 3; generation <= 4; generation++) last = await mint(last);
    expect(await reasonOf(mint(last))).toBe("permission_denied");
  });

  test("spends its own budget and its parent's", async () => {
    const parent = await newKey();
    await putBudget(parent.id, 100n);
    const [child, sibling] = [await mint(parent, { terms: { budgetNanoUsd: 30n } }), await mint(parent)];
    expect(await admits(child.id, 31n)).toBe(false);
    expect(await admits(child.id, 20n)).toBe(true);
    expect(await admits(child.id, 20n)).toBe(false);
    expect(await admits(sibling.id, 81n)).toBe(false);
    expect(await admits((await mint(sibling)).id, 80n)).toBe(true);
    expect(await admits(parent.id, 1n)).toBe(false);
    const requests = await mint(await newKey(), { terms: { budgetRequests: 1n, budgetTokens: 5n } });
    expect((await admitOne(one, { keyId: requests.id, tokens: 6 })).admitted).toBe(false);
    expect((await admitOne(one, { keyId: requests.id, tokens: 5 })).admitted).toBe(true);
    expect((await admitOne(one, { keyId: requests.id, tokens: 0 })).admitted).toBe(false);
    // A budget that is put on the parent later bounds them, too.
    const [late, ofLate] = await (async () => {
      const key = await newKey();
      return [key, await mint(key)] as const;
    })();
    await putBudget(late.id, 1n);
    expect(await admits(ofLate.id, 2n)).toBe(false);
  });

  test("counts with its parent in limits per key", async () => {
    const workspace = `w-${randomUUID().slice(0, 8)}`;
    await one.admin.createWorkspace({ name: workspace }, one.asAdmin);
    const parent = await newKey({ workspace });
    const limit = { per: LimitSubject.KEY, unit: LimitUnit.REQUESTS, amount: 3n, windowMs: 3_600_000n, burst: 2n };
    await one.admin.putLimit({ place: { place: { case: "workspace", value: workspace } }, ...limit }, one.asAdmin);
    const family = [parent.id, (await mint(parent)).id, (await mint(parent)).id, (await mint(parent)).id];
    const admitted: boolean[] = [];
    for (const id of family) admitted.push(await admits(id));
    expect(admitted).toEqual([true, true, true, false]);
    expect(await admits((await newKey({ workspace })).id)).toBe(true);
  });

  test("ends with its parent, and changes with it", async () => {
    const parent = await newKey();
    const child = await mint(parent);
    const grandchild = await mint(child);
    await using watcher = new WatchClient(one);
    const view = (id: string) => watcher.keys.get(id);
    await expect.poll(() => view(grandchild.id)?.keyId).toBe(grandchild.id);
    const inMs = BigInt(Date.now() + 90_000);
    await one.admin.updateKey({ keyId: parent.id, rules: { maxOutputTokens: 9 }, expiresAtMs: inMs }, one.asAdmin);
    await expect.poll(() => view(grandchild.id)?.rules?.maxOutputTokens).toBe(9);
    expect(view(grandchild.id)?.expiresAtMs).toBe(inMs);
    await one.admin.revokeKey({ keyId: parent.id, endRequests: true }, one.asAdmin);
    await expect.poll(() => [child.id, grandchild.id].map((id) => watcher.removed.get(id))).toEqual([true, true]);
    expect(await reasonOf(mint(child))).toBe("invalid_key");
    expect(await admits(child.id)).toBe(false);
  });

  test("is listed where it is asked for, and neither rotated nor changed", async () => {
    const workspace = `w-${randomUUID().slice(0, 8)}`;
    await one.admin.createWorkspace({ name: workspace }, one.asAdmin);
    const parent = await newKey({ workspace });
    const child = await mint(parent, { name: "for a job" });
    const names = async (includeShortLived: boolean) =>
      (await one.admin.listKeys({ workspace, includeShortLived }, one.asAdmin)).keys.map(({ name }) => name);
    expect(await names(false)).toEqual(["parent"]);
    expect(await names(true)).toEqual(["parent", "for a job"]);
    const shown = await one.admin.getKey({ keyId: child.id }, one.asAdmin);
    expect(shown.key?.parentKeyId).toBe(parent.id);
    expect(await reasonOf(one.admin.rotateKey({ keyId: child.id }, one.asAdmin))).toBe("invalid_request");
    expect(await reasonOf(one.admin.updateKey({ keyId: child.id, name: "x" }, one.asAdmin))).toBe("invalid_request");
  });

  test("that expired leaves the replicas' memory an hour later, and the database a month later", async () => {
    const parent = await newKey();
    const terms = { budgetRequests: 5n };
    const [old, ancient, living] = [await mint(parent, { terms }), await mint(parent), await mint(parent, { terms })];
    const pool = new pg.Pool({ connectionString: postgres.url, options: "-c search_path=policy" });
    const failures: unknown[] = [];
    await using watcher = new WatchClient(one);
    await expect.poll(() => watcher.keys.has(living.id)).toBe(true);
    await using cleanup = keyCleanup(postgresKeys(pool), (error) => failures.push(error));
    const expire = (id: string, ago: string) =>
      pool.query("update api_key set expires_at = now() - $2::interval where id = $1", [id, ago]);
    await expire(old.id, "61 minutes");
    await expire(ancient.id, "31 days");
    await cleanup.run();
    expect(failures).toEqual([]);
    await expect.poll(() => [old, ancient, living].map(({ id }) => watcher.keys.has(id))).toEqual([false, false, true]);
    const { rows } = await pool.query<{ id: string }>("select id from api_key where ancestors @> array[$1::uuid]", [
      parent.id,
    ]);
    const { budgets } = await one.admin.listBudgets({}, one.asAdmin);
    const bounded = (id: string): boolean => budgets.some(({ place }) => place?.place.value === id);
    expect([bounded(old.id), bounded(living.id)]).toEqual([false, true]);
    expect(rows.map(({ id }) => id).toSorted()).toEqual([old.id, living.id].toSorted());
    await pool.end();
  });
});

describe("a token of a trusted issuer", () => {
  const PATIENCE = { timeout: 20_000, interval: 100 };
  const put = (asked: Parameters<Replica["admin"]["putIssuer"]>[0] = {}, as = one.asAdmin) =>
    one.admin.putIssuer({ name: "ci", url: issuer.url, audiences: ["weir"], ...asked }, as);
  const exchange = (token: string, asked: object = {}) => one.tokens.exchangeToken({ token, ...asked });

  test("is good for a key within the issuer's terms, for the end user that it names", async () => {
    await put({
      requiredClaims: { repository: "acme/*" },
      endUserClaim: "sub",
      ttlMs: 600_000n,
      rules: { allowedModels: ["fast"] },
    });
    const { key } = await exchange(await issuer.sign({ repository: "acme/app" }), {
      terms: { rules: { allowedModels: ["*"] }, budgetRequests: 1n },
    });
    expect(key).toMatchObject({ endUser: "ci", scopes: [Scope.INFERENCE], rules: { allowedModels: ["fast"] } });
    expect(Number(key?.expiresAtMs) - Date.now()).toBeLessThanOrEqual(600_000);
    expect([await admits(key?.id ?? ""), await admits(key?.id ?? "")]).toEqual([true, false]);
    const shown = await one.admin.getKey({ keyId: key?.id ?? "" }, one.asAdmin);
    expect(shown.key?.name).toBe("ci: ci");
    for (const repository of ["other/app", undefined, 5, ["x"]]) {
      expect(await reasonOf(issuer.sign({ repository }).then(exchange))).toBe("invalid_key");
    }
  });

  test("is refused for anything that is wrong with it", async () => {
    await put();
    const stranger = await generateKeyPair("RS256");
    const hmac = new TextEncoder().encode(await issuer.publicPem());
    const claims = { iss: issuer.url, aud: "weir", sub: "ci", exp: Math.floor(Date.now() / 1000) + 300 };
    const unsigned = `${Buffer.from('{"alg":"none"}').toString("base64url")}.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.`;
    const good = await issuer.sign({});
    const cases: [string, Promise<string> | string, string][] = [
      ["good", good, "none"],
      ["expired", issuer.sign({}, { expiresInS: -60 }), "expired_key"],
      ["just expired, by another clock", issuer.sign({}, { expiresInS: -10 }), "none"],
      ["not yet valid", issuer.sign({ nbf: claims.exp }), "invalid_key"],
      ["for another audience", issuer.sign({ aud: "other" }), "invalid_key"],
      ["of another issuer", issuer.sign({ iss: "https://elsewhere.example" }), "invalid_key"],
      ["of nobody", issuer.sign({ iss: undefined }), "invalid_key"],
      ["signed by a stranger", issuer.sign({}, { key: stranger.privateKey }), "invalid_key"],
      ["not signed", unsigned, "invalid_key"],
      [
        "signed with the public key",
        new SignJWT(claims).setProtectedHeader({ alg: "HS256", kid: "key-1" }).sign(hmac),
        "invalid_key",
      ],
      [
        "without an end",
        new SignJWT({ iss: claims.iss, aud: claims.aud }).setProtectedHeader({ alg: "HS256" }).sign(hmac),
        "invalid_key",
      ],
      ["changed", good.replace(/\.(\w)/, (_, first: string) => `.${first === "e" ? "f" : "e"}`), "invalid_key"],
      ["no token", "abc", "invalid_key"],
      ["a key", "wk_abc.def.ghi", "invalid_key"],
    ];
    for (const [what, token, reason] of cases) {
      expect([what, await reasonOf(exchange(await token))]).toEqual([what, reason]);
    }
  });

  test("with a key that nobody knows makes nobody fetch more than once in half a minute", async () => {
    await put();
    expect(await reasonOf(issuer.sign({}).then(exchange))).toBe("none");
    const before = issuer.fetches();
    const tokens = await Promise.all(Array.from({ length: 200 }, (_, n) => issuer.sign({}, { kid: `unknown-${n}` })));
    const reasons = await Promise.all(tokens.map((token) => reasonOf(exchange(token))));
    expect(new Set(reasons)).toEqual(new Set(["invalid_key"]));
    expect(issuer.fetches() - before).toBeLessThanOrEqual(1);
  });

  async function idOf(name: string): Promise<string> {
    const { issuers } = await one.admin.listIssuers({}, one.asAdmin);
    return issuers.find((row) => row.name === name)?.id ?? "";
  }

  test("cannot be checked while its issuer's keys cannot be had, which says so and is not 401", async () => {
    const cannot = async (how: "error" | "redirect" | "too-much"): Promise<void> => {
      await using away = await startTokenIssuer();
      await using own = await replica(postgres.url, { config: { oidc: { internalOrigins: [away.url] } } });
      await own.admin.putIssuer({ name: `away-${how}`, url: away.url, audiences: ["weir"] }, own.asAdmin);
      away.answer(how);
      const token = await away.sign({});
      expect([how, await reasonOf(own.tokens.exchangeToken({ token }))]).toEqual([how, "policy_unavailable"]);
      // Nobody asks again at once.
      expect(await reasonOf(own.tokens.exchangeToken({ token }))).toBe("policy_unavailable");
      expect(away.fetches()).toBe(1);
      away.answer("keys");
      await expect.poll(() => reasonOf(own.tokens.exchangeToken({ token })), PATIENCE).toBe("none");
    };
    await Promise.all([cannot("error"), cannot("redirect"), cannot("too-much")]);
  }, 60_000);

  test("of an issuer on an internal address is not even asked for, unless the operator listed it", async () => {
    await using own = await replica(postgres.url);
    expect(await reasonOf(own.admin.putIssuer({ name: "x", url: issuer.url, audiences: ["a"] }, own.asAdmin))).toBe(
      "invalid_request",
    );
    const before = issuer.fetches();
    // As another replica that may look there has put it.
    expect(await reasonOf(own.tokens.exchangeToken({ token: await issuer.sign({}) }))).toBe("policy_unavailable");
    for (const url of ["https://127.0.0.1:1", "https://0x7f.1", "https://[::ffff:10.0.0.1]", "https://localhost"]) {
      await own.admin.putIssuer({ name: "internal", url, jwksUrl: `${url}/keys`, audiences: ["weir"] }, own.asAdmin);
      const token = await issuer.sign({ iss: url });
      own.log.splice(0);
      expect(await reasonOf(own.tokens.exchangeToken({ token }))).toBe("policy_unavailable");
      expect(own.log.join("\n")).toMatch(/internal address/);
    }
    await own.admin.deleteIssuer({ issuerId: await idOf("internal") }, own.asAdmin);
    expect(issuer.fetches()).toBe(before);
  });

  test("is worth nothing any more when the issuer is deleted, and its keys are not either", async () => {
    await put({ name: "brief", audiences: ["brief"] });
    const token = await issuer.sign({ aud: "brief" });
    const { key } = await exchange(token);
    expect(await admits(key?.id ?? "")).toBe(true);
    await put({ name: "brief", audiences: ["brief"], rules: { maxOutputTokens: 3 } });
    await using watcher = new WatchClient(one);
    await expect.poll(() => watcher.keys.get(key?.id ?? "")?.rules?.maxOutputTokens).toBe(3);
    await one.admin.deleteIssuer({ issuerId: await idOf("brief") }, one.asAdmin);
    expect(await reasonOf(exchange(token))).toBe("invalid_key");
    await expect.poll(() => admits(key?.id ?? "")).toBe(false);
  });

  test("that several projects trust says which is meant", async () => {
    const workspace = `w-${randomUUID().slice(0, 8)}`;
    await one.admin.createWorkspace({ name: workspace }, one.asAdmin);
    const ids = await Promise.all(
      ["default", workspace].map(
        async (name) => (await put({ name: "shared", workspace: name, audiences: ["shared"] })).issuer?.id ?? "",
      ),
    );
    const token = await issuer.sign({ aud: ["x", "shared"] });
    expect(await reasonOf(exchange(token))).toBe("invalid_request");
    expect(await reasonOf(exchange(token, { issuerId: ids[1] }))).toBe("none");
    expect(await reasonOf(exchange(token, { issuerId: randomUUID() }))).toBe("invalid_key");
    const as = bearer((await newKey({ workspace, scopes: [Scope.ADMIN, Scope.INFERENCE] })).secret);
    expect((await one.admin.listIssuers({}, as)).issuers.map(({ id }) => id)).toEqual([ids[1]]);
    expect(await reasonOf(one.admin.deleteIssuer({ issuerId: ids[0] ?? "" }, as))).toBe("not_found");
    expect(await reasonOf(put({ name: "own" }, as))).toBe("none");
    expect(await reasonOf(put({ name: "own", scopes: [Scope.ADMIN] }, as))).toBe("invalid_request");
    for (const asked of [
      { url: "ftp://x.example" },
      { url: "https://u:p@x.example" },
      { jwksUrl: "http://x.example/keys" },
      { algorithms: ["HS256"] },
      { algorithms: ["none"] },
      { audiences: [] },
      { requiredClaims: { sub: "*" } },
      { name: "No Name" },
    ])
      expect([asked, await reasonOf(put({ name: "wrong", ...asked }))]).toEqual([asked, "invalid_request"]);
  });
});
