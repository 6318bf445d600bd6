-- Keys that are rotated, minted from another, or ended together with what they run; when each was last used; trusted issuers of tokens.

alter table api_key
  -- The keys it was minted from, the first one first: their rules, budgets and limits bound it, and it ends with any of them.
  add column ancestors uuid[] not null default '{}',
  -- Places whose bounds it may not change, beside those of its own path: the path of the admin key that made it.
  add column guards uuid[] not null default '{}',
  -- Whom all its requests are for; '': each says so itself.
  add column end_user text not null default '' check (length(end_user) <= 256),
  -- Revoked together with the requests it ran.
  add column end_requests boolean not null default false,
  -- A short-lived key that expired a while ago: no replica holds it any more, its row says whose it was.
  add column forgotten boolean not null default false,
  drop constraint api_key_scopes_check,
  add constraint api_key_scopes_check
    check (scopes <@ '{inference,read,admin,billing,organization-admin}' and cardinality(scopes) > 0);

create index api_key_by_ancestor on api_key using gin (ancestors) where ancestors <> '{}';
create index api_key_to_forget on api_key (expires_at) where ancestors <> '{}' and not forgotten;
create index api_key_to_delete on api_key (expires_at) where forgotten;

-- The text a rotated key had before; `api_key.hash` is that of the present one. Rows stay: a text that was taken back never comes back, not
-- even as the configured first key.
create table retired_secret (
  hash bytea primary key check (length(hash) = 32),
  key_id uuid not null references api_key on delete cascade,
  prefix text not null,
  retired_at timestamptz not null default now(),
  -- Until then it goes on working.
  expires_at timestamptz not null
);
create index retired_secret_of_key on retired_secret (key_id, expires_at);

-- Apart from api_key, which is locked and read in other rhythms.
create table key_use (
  key_id uuid primary key references api_key on delete cascade,
  used_at timestamptz not null
) with (fillfactor = 50);

-- Whose tokens are exchanged for short-lived keys. What those may do at most is what `key_id` may: a key whose text nobody has, their parent.
create table issuer (
  id uuid primary key,
  project_id uuid not null references project,
  name text not null check (name ~ '^[a-z0-9][a-z0-9._-]{0,62}$'),
  key_id uuid not null references api_key,
  url text not null check (length(url) between 1 and 1024),
  -- '': the one that the issuer's discovery document names.
  jwks_url text not null check (length(jwks_url) <= 1024),
  audiences text[] not null check (cardinality(audiences) between 1 and 16),
  algorithms text[] not null check (cardinality(algorithms) > 0),
  required_claims jsonb not null,
  end_user_claim text not null,
  ttl_ms bigint not null check (ttl_ms between 60000 and 86400000),
  created_at timestamptz not null default now(),
  unique (project_id, name)
);
create index issuer_by_url on issuer (url);

-- As before; the keys that were minted from a key lie below it.
create or replace function keys_below(p_place text, p_id uuid) returns uuid[] language sql stable set search_path from current as $$
  select coalesce(array_agg(k.id order by k.id), '{}')
  from api_key k join project p on p.id = k.project_id join workspace w on w.id = p.workspace_id
  where k.revoked_at is null and not k.forgotten and case p_place
    when 'organization' then w.organization_id = p_id when 'workspace' then w.id = p_id when 'project' then p.id = p_id
    else k.id = p_id or k.ancestors @> array[p_id] end
$$;

grant delete on api_key to weir_policy;
grant select, insert, update on retired_secret to weir_policy;
grant select, insert, update on key_use to weir_policy;
grant select, insert, update, delete on issuer to weir_policy;
