-- Rules of organizations; end users and tags of a workspace that have rules, budgets or limits of their own; what is taken away.

alter table organization add column rules jsonb not null default '{}';
grant update on organization to weir_policy;

-- Made when something is first set for it, and kept: budgets and holds refer to it.
create table attribute (
  id uuid primary key,
  workspace_id uuid not null references workspace,
  kind text not null check (kind in ('end-user', 'tag')),
  name text not null check (length(name) between 1 and 256),
  -- Of a tag; an end user has none.
  value text not null check (length(value) <= 256 and (kind = 'tag') = (value <> '')),
  rules jsonb not null default '{}',
  created_at timestamptz not null default now(),
  unique (workspace_id, kind, name, value)
);

alter table budget drop constraint budget_place_check,
  add constraint budget_place_check check (place in ('organization', 'workspace', 'project', 'key', 'end-user', 'tag'));
alter table rate_limit drop constraint rate_limit_place_check,
  add constraint rate_limit_place_check check (place in ('organization', 'workspace', 'project', 'key', 'end-user', 'tag'));

-- A budget that was taken away bounds no new request; its row stays, as holds that are open still settle in its periods.
alter table budget add column retired_at timestamptz;

comment on column change.key_id is 'A key, or a workspace whose attributes changed.';

grant select, insert, update on attribute to weir_policy;
grant delete on rate_limit to weir_policy;
