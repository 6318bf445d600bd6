-- What is done with the ledger beside writing it: checked, resolved, told of, and forgotten after a long time.

-- What somebody asked to be done with charges of which nobody knew how much they were, and why. What became of it is in the ledger.
create table resolution (
  id bigint generated always as identity primary key,
  asked_at timestamptz not null default now(),
  asked_by text not null,
  request_id uuid,
  attempt int,
  -- Declared dead, with all it held.
  owner text,
  cost_nanos bigint not null,
  tokens bigint not null,
  note text not null check (length(note) <= 1000),
  check ((request_id is null) = (attempt is null) and (request_id is null) <> (owner is null))
);

-- What the entries that were forgotten had spent in each period, so that the sums can be checked for ever.
create table checkpoint (
  budget_period_id int primary key references budget_period,
  spent bigint not null
);

create function settled_of(p_unit text, s settlement) returns bigint language sql immutable as $$
  select case p_unit when 'nano-usd' then s.cost_nanos when 'tokens' then s.tokens else s.requests end
$$;

-- Budget periods whose sums are not those of their entries: none, or the ledger is broken.
create or replace function verify_ledger() returns table (budget_period_id int, held bigint, held_by_entries bigint, spent bigint, spent_by_entries bigint)
language sql stable as $$
  with entry as (
    select b as id, case p.unit when 'nano-usd' then h.cost_nanos when 'tokens' then h.tokens else 1 end as held,
      not exists (select from settlement s where s.request_id = h.request_id and s.attempt = h.attempt) as open,
      coalesce((select sum(settled_of(p.unit, s)) from settlement s where s.request_id = h.request_id and s.attempt = h.attempt), 0) as spent
    from hold h cross join unnest(h.path) b join budget_period p on p.id = b
  ), total as (
    select id, coalesce(sum(entry.held) filter (where open), 0)::bigint as held, sum(entry.spent)::bigint as spent from entry group by id
  )
  select p.id, p.held, coalesce(t.held, 0), p.spent, coalesce(t.spent, 0) + coalesce(c.spent, 0)
  from budget_period p left join total t on t.id = p.id left join checkpoint c on c.budget_period_id = p.id
  where p.held <> coalesce(t.held, 0) or p.spent <> coalesce(t.spent, 0) + coalesce(c.spent, 0)
$$;

-- Entries that no batch writes: none.
create function wrong_entries() returns table (request_id uuid, attempt int, detail text) language sql stable as $$
  select request_id, attempt, 'a hold of less than nothing' from hold where cost_nanos < 0 or tokens < 0
  union all
  select s.request_id, s.attempt, 'a settlement without its hold' from settlement s
    where not exists (select from hold h where h.request_id = s.request_id and h.attempt = s.attempt)
  union all
  select request_id, attempt, 'a charge of less than nothing' from settlement
    where not correction and (least(cost_nanos, tokens, requests) < 0 or kind not in ('charge', 'void', 'at-bound'))
  union all
  select s.request_id, s.attempt, 'a correction that charges, or of a charge that was not at its bound' from settlement s
    where s.correction and (greatest(s.cost_nanos, s.tokens, s.requests) > 0 or not exists (select from settlement c
      where c.request_id = s.request_id and c.attempt = s.attempt and not c.correction and c.kind = 'at-bound'))
$$;

-- Forgets settled holds that are older than p_before, with their settlements; what they spent goes to the checkpoints of their periods in
-- the same transaction. Charges at their bound that nobody resolved stay. The one way in which entries are ever removed: it refuses to
-- remove what is younger than 35 days, whoever asks. Returns how many; fewer than p_most: no more are left.
create function forget_entries(p_before timestamptz, p_most int) returns int language plpgsql security definer set search_path from current as $$
declare ids uuid[]; numbers int[]; hex text := lpad(to_hex(greatest(0, extract(epoch from p_before) * 1000)::bigint), 12, '0');
begin
  if p_before is null or p_before > now() - interval '35 days' then raise exception 'entries are kept for 35 days at least'; end if;
  -- Ids begin with the time they were made at, so the oldest come first by the key.
  select array_agg(x.request_id), array_agg(x.attempt) into ids, numbers from (
    select h.request_id, h.attempt
    from hold h cross join lateral (
      select count(*) as settled, bool_or(s.kind = 'at-bound' and not s.correction) and not bool_or(s.correction) as unresolved
      from settlement s where s.request_id = h.request_id and s.attempt = h.attempt) s
    where h.request_id < (left(hex, 8) || '-' || right(hex, 4) || '-0000-0000-000000000000')::uuid and h.created_at < p_before
      and s.settled > 0 and not s.unresolved
    order by h.request_id, h.attempt limit p_most) x;
  -- In the order of all batches. What is settled late waits for this, and then finds no hold.
  perform 1 from budget_period where id = any(array(
    select distinct b from unnest(ids, numbers) f(request_id, attempt) join hold h using (request_id, attempt) cross join unnest(h.path) b
  )) order by id for no key update;
  insert into checkpoint as c (budget_period_id, spent)
    select p.id, sum(settled_of(p.unit, s))
    from unnest(ids, numbers) f(request_id, attempt) join hold h using (request_id, attempt) join settlement s using (request_id, attempt)
      cross join unnest(h.path) b join budget_period p on p.id = b
    group by p.id order by p.id
    on conflict (budget_period_id) do update set spent = c.spent + excluded.spent;
  delete from settlement s using unnest(ids, numbers) f(request_id, attempt) where s.request_id = f.request_id and s.attempt = f.attempt;
  delete from hold h using unnest(ids, numbers) f(request_id, attempt) where h.request_id = f.request_id and h.attempt = f.attempt;
  return coalesce(cardinality(ids), 0);
end $$;
revoke execute on function forget_entries(timestamptz, int) from public;

-- Periods of runs and end users of which nothing but their checkpoint is left, older than p_before. As forget_entries.
create function forget_subjects(p_before timestamptz, p_most int) returns int language plpgsql security definer set search_path from current as $$
declare old int[];
begin
  if p_before is null or p_before > now() - interval '35 days' then raise exception 'entries are kept for 35 days at least'; end if;
  select array_agg(id) into old from (
    select p.id from budget_period p left join checkpoint c on c.budget_period_id = p.id
    where p.subject <> '' and p.opened_at < p_before and p.held = 0 and p.spent = coalesce(c.spent, 0)
    order by p.id limit p_most for no key update of p skip locked) x;
  delete from warning_delivery d using warning w where w.id = d.warning_id and w.budget_period_id = any(old);
  delete from warning where budget_period_id = any(old);
  delete from run_call where budget_period_id = any(old);
  delete from checkpoint where budget_period_id = any(old);
  delete from budget_period where id = any(old);
  return coalesce(cardinality(old), 0);
end $$;
revoke execute on function forget_subjects(timestamptz, int) from public;

-- Where a workspace's warnings are sent to.
create table webhook (
  workspace_id uuid primary key references workspace,
  url text not null check (length(url) between 1 and 2048),
  -- Deliveries are signed with it; who reads it can forge a warning, and nothing else.
  secret text not null,
  created_at timestamptz not null default now(),
  last_error text not null default ''
);

-- What is still to be sent, or was.
create table warning_delivery (
  warning_id bigint primary key references warning,
  workspace_id uuid not null references workspace,
  attempts int not null default 0,
  next_at timestamptz not null default now(),
  -- Sent, or given up.
  ended_at timestamptz,
  sent boolean not null default false
);
create index warning_delivery_due on warning_delivery (next_at) where ended_at is null;
create index warning_delivery_of_workspace on warning_delivery (workspace_id) where ended_at is null;

create or replace function warn(p_periods int[]) returns void language plpgsql as $$
begin
  with reached as (
    insert into warning (budget_period_id, percent, spent, limit_amount)
      select p.id, t.percent, p.spent, b.limit_amount
      from budget_period p join budget b on b.id = p.budget_id cross join (values (50), (80), (100)) t(percent)
      where p.id = any(p_periods) and b.limit_amount > 0 and p.spent >= part_of(b.limit_amount, t.percent)
      order by p.id, t.percent on conflict do nothing returning id, budget_period_id
  )
  insert into warning_delivery (warning_id, workspace_id)
    select r.id, h.workspace_id from reached r join budget_period p on p.id = r.budget_period_id join budget b on b.id = p.budget_id
      join webhook h on h.workspace_id = workspace_of(b.place, b.place_id);
  update budget_period p set warn_at = next_warning(p.id, b.limit_amount) from budget b where p.id = any(p_periods) and b.id = p.budget_id;
  perform pg_notify('weir_policy_warning', '');
end $$;

-- Deliveries that are due, for who calls alone: they are due again after the lease, if nobody ended them until then.
create function claim_deliveries(p_most int, p_lease interval) returns setof bigint language sql as $$
  update warning_delivery set attempts = attempts + 1, next_at = now() + p_lease where warning_id in (
    select warning_id from warning_delivery where ended_at is null and next_at <= now() order by next_at limit p_most for update skip locked)
  returning warning_id
$$;

grant select, insert on resolution to weir_policy;
grant select on checkpoint to weir_policy;
grant select, insert, update, delete on webhook to weir_policy;
grant select, insert, update, delete on warning_delivery to weir_policy;
grant execute on function forget_entries(timestamptz, int), forget_subjects(timestamptz, int) to weir_policy;
