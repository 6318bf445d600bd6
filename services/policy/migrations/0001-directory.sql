-- Who there is, what they may do, and the log of changes that Watch follows.

create table organization (
  id uuid primary key,
  name text not null unique check (name ~ '^[a-z0-9][a-z0-9._-]{0,62}$'),
  created_at timestamptz not null default now()
);

create table workspace (
  id uuid primary key,
  organization_id uuid not null references organization,
  -- Unique over all organizations, so that a name alone says which.
  name text not null unique check (name ~ '^[a-z0-9][a-z0-9._-]{0,62}$'),
  payloads text not null check (payloads in ('none', 'hashes', 'redacted', 'full')),
  rules jsonb not null default '{}',
  created_at timestamptz not null default now()
);

create table project (
  id uuid primary key,
  workspace_id uuid not null references workspace,
  name text not null check (name ~ '^[a-z0-9][a-z0-9._-]{0,62}$'),
  rules jsonb not null default '{}',
  created_at timestamptz not null default now(),
  unique (workspace_id, name)
);

create table api_key (
  id uuid primary key,
  project_id uuid not null references project,
  name text not null check (length(name) between 1 and 128),
  hash bytea not null unique check (length(hash) = 32),
  prefix text not null,
  scopes text[] not null check (scopes <@ '{inference,read,admin}' and cardinality(scopes) > 0),
  rules jsonb not null default '{}',
  -- Made from the operator's configuration.
  operator boolean not null default false,
  created_at timestamptz not null default now(),
  expires_at timestamptz,
  revoked_at timestamptz
);
create index api_key_of_project on api_key (project_id);

create table budget (
  id int generated always as identity primary key,
  place text not null check (place in ('organization', 'workspace', 'project', 'key')),
  place_id uuid not null,
  unit text not null check (unit in ('nano-usd', 'tokens', 'requests')),
  period text not null check (period in ('day', 'week', 'month', 'total')),
  limit_amount bigint not null check (limit_amount >= 0),
  hard boolean not null,
  closed boolean not null default false,
  unique (place_id, unit, period)
);

create table rate_limit (
  id int generated always as identity primary key,
  place text not null check (place in ('organization', 'workspace', 'project', 'key')),
  place_id uuid not null,
  per text not null check (per in ('key', 'project', 'workspace', 'end-user', 'client-ip', 'model')),
  unit text not null check (unit in ('requests', 'tokens')),
  amount bigint not null check (amount >= 1),
  window_ms bigint not null check (window_ms between 1000 and 86400000),
  burst bigint not null check (burst >= 0),
  fail_closed boolean not null,
  unique (place_id, per, unit, window_ms)
);

-- One row: the version of the directory. Its lock puts all changes in one order, so versions have no gaps and commit in order.
create table version (
  one boolean primary key default true check (one),
  current bigint not null
);
insert into version (current) values (0);

-- Which key's view changed with which version; the newest ones are kept (see note_changes).
create table change (
  version bigint primary key,
  key_id uuid not null
);

-- Gives each changed key a version of its own and wakes the watchers; the last thing a changing transaction does.
create function note_changes(p_keys uuid[]) returns bigint language plpgsql set search_path from current as $$
declare v bigint;
begin
  if cardinality(p_keys) = 0 then
    select current into v from version;
    return v;
  end if;
  update version set current = current + cardinality(p_keys) returning current into v;
  insert into change (version, key_id) select v - cardinality(p_keys) + k.n, k.id from unnest(p_keys) with ordinality k(id, n);
  delete from change where version <= v - 10000;
  perform pg_notify('weir_policy', v::text);
  return v;
end $$;

-- The keys whose path leads through a place, as far as they may still be used.
create function keys_below(p_place text, p_id uuid) returns uuid[] language sql stable set search_path from current as $$
  select coalesce(array_agg(k.id order by k.id), '{}')
  from api_key k join project p on p.id = k.project_id join workspace w on w.id = p.workspace_id
  where k.revoked_at is null and case p_place
    when 'organization' then w.organization_id when 'workspace' then w.id when 'project' then p.id else k.id end = p_id
$$;

grant usage on schema policy to weir_policy;
grant select, insert on organization, workspace, project, api_key, budget, rate_limit to weir_policy;
grant update on workspace, project, api_key, budget, rate_limit, version to weir_policy;
grant select on version, migration to weir_policy;
grant select, insert, delete on change to weir_policy;
