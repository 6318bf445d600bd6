-- Budgets of one run or one end user each; calendars in the time zone of the workspace; calls that repeat within a run; warnings.

alter table workspace add column time_zone text not null default 'UTC';

alter table budget
  -- One for all, or one for each run or end user.
  add column per text not null default 'none' check (per in ('none', 'run', 'end-user')),
  -- Of its workspace; an organization's is UTC. A change counts from the next period on.
  add column time_zone text not null default 'UTC',
  -- How often the same call may come within a run.
  add column max_identical_calls int check (max_identical_calls is null or max_identical_calls >= 1 and per = 'run'),
  drop constraint budget_place_id_unit_period_key,
  add constraint budget_terms_key unique (place_id, unit, period, per);

create function workspace_of(p_place text, p_id uuid) returns uuid language sql stable set search_path from current as $$
  select case p_place
    when 'workspace' then p_id
    when 'project' then (select workspace_id from project where id = p_id)
    when 'key' then (select p.workspace_id from api_key k join project p on p.id = k.project_id where k.id = p_id)
    when 'end-user' then (select workspace_id from attribute where id = p_id)
    when 'tag' then (select workspace_id from attribute where id = p_id) end
$$;

create function set_time_zone() returns trigger language plpgsql set search_path from current as $$
begin
  new.time_zone := coalesce((select w.time_zone from workspace w where w.id = workspace_of(new.place, new.place_id)), 'UTC');
  return new;
end $$;
create trigger set_time_zone before insert or update on budget for each row execute function set_time_zone();

create function pass_on_time_zone() returns trigger language plpgsql set search_path from current as $$
begin
  update budget set time_zone = new.time_zone where place <> 'organization' and workspace_of(place, place_id) = new.id;
  return null;
end $$;
create trigger pass_on_time_zone after update of time_zone on workspace
  for each row when (old.time_zone <> new.time_zone) execute function pass_on_time_zone();

-- Postgres parses a check anew for each statement, which was an eighth of a small batch. Only apply_batch writes these tables; verify_ledger
-- looks at what the checks said.
alter table hold drop constraint hold_cost_nanos_check, drop constraint hold_tokens_check;
alter table settlement drop constraint settlement_kind_check, drop constraint settlement_check, drop constraint settlement_check1;

-- A warning is due once `spent` reaches it; null: none any more.
alter table budget_period add column warn_at bigint, add column opened_at timestamptz not null default now();

create function part_of(p_limit bigint, p_percent int) returns bigint language sql immutable parallel safe as $$
  select ceil(p_limit::numeric * p_percent / 100)::bigint
$$;

-- Each budget period reaches each threshold once; what else was to happen by then is in warning_delivery.
create table warning (
  id bigint generated always as identity primary key,
  budget_period_id int not null references budget_period,
  percent int not null check (percent in (50, 80, 100)),
  spent bigint not null,
  limit_amount bigint not null,
  warned_at timestamptz not null default now(),
  unique (budget_period_id, percent)
);

-- The next threshold of a period that was not warned of.
create function next_warning(p_period int, p_limit bigint) returns bigint language sql stable as $$
  select min(part_of(p_limit, t.percent)) from (values (50), (80), (100)) t(percent)
  where p_limit > 0 and not exists (select from warning w where w.budget_period_id = p_period and w.percent = t.percent)
$$;

create function warn(p_periods int[]) returns void language plpgsql as $$
begin
  insert into warning (budget_period_id, percent, spent, limit_amount)
    select p.id, t.percent, p.spent, b.limit_amount
    from budget_period p join budget b on b.id = p.budget_id cross join (values (50), (80), (100)) t(percent)
    where p.id = any(p_periods) and b.limit_amount > 0 and p.spent >= part_of(b.limit_amount, t.percent)
    order by p.id, t.percent on conflict do nothing;
  update budget_period p set warn_at = next_warning(p.id, b.limit_amount) from budget b where p.id = any(p_periods) and b.id = p.budget_id;
  perform pg_notify('weir_policy_warning', '');
end $$;

create function set_warnings() returns trigger language plpgsql set search_path from current as $$
begin
  update budget_period set warn_at = next_warning(id, new.limit_amount) where budget_id = new.id and end_at > now();
  return null;
end $$;
create trigger set_warnings after update of limit_amount on budget
  for each row when (old.limit_amount <> new.limit_amount) execute function set_warnings();

update budget_period p set warn_at = next_warning(p.id, b.limit_amount) from budget b where b.id = p.budget_id and p.end_at > now();

-- How often a call came within a run; forgotten a day after it came last.
create table run_call (
  budget_period_id int not null references budget_period,
  digest text not null check (length(digest) <= 64),
  seen int not null,
  seen_at timestamptz not null,
  primary key (budget_period_id, digest)
);
create index run_call_to_forget on run_call (seen_at);

grant select, insert on warning to weir_policy;
grant select, insert, update, delete on run_call to weir_policy;

-- When a local midnight is: the moment from which on it is never the day before again.
create function begin_of(p_midnight timestamp, p_zone text) returns timestamptz language plpgsql stable as $$
declare at timestamptz := p_midnight at time zone p_zone; before timestamp := (at - interval '1 microsecond') at time zone p_zone;
begin
  -- Of a midnight that comes twice Postgres takes the second one. If clocks went back over it, so do we; if only to it, the day has begun.
  return case when before >= p_midnight then at - (before - p_midnight) - interval '1 microsecond' else at end;
end $$;

create or replace function budget_time(p_period text, p_at timestamptz, p_zone text, out start_at timestamptz, out end_at timestamptz)
language plpgsql stable as $$
declare local timestamp; step interval;
begin
  if p_period = 'total' then
    start_at := to_timestamp(0);
    end_at := 'infinity';
    return;
  end if;
  local := date_trunc(p_period, p_at at time zone p_zone);
  step := ('1 ' || p_period)::interval;
  -- Clocks will go back over this midnight yet.
  if begin_of(local, p_zone) > p_at then local := local - step; end if;
  start_at := begin_of(local, p_zone);
  end_at := begin_of(local + step, p_zone);
end $$;

create or replace function open_periods(p_budget int[], p_subject text[]) returns table (id int, unit text) language plpgsql as $$
#variable_conflict use_column
begin
  if exists (select from unnest(p_budget, p_subject) u(budget_id, subject)
    where not exists (select from budget_period p where p.budget_id = u.budget_id and p.subject = u.subject and p.end_at > now())) then
    -- One at a time, so that no two periods of a budget overlap.
    perform pg_advisory_xact_lock(8238, o.b) from (select distinct b from unnest(p_budget) b order by b) o;
    insert into budget_period (budget_id, unit, subject, start_at, end_at, warn_at)
      select distinct b.id, b.unit, u.subject, greatest(t.start_at, l.end_at), t.end_at, next_warning(null, b.limit_amount)
      from unnest(p_budget, p_subject) u(budget_id, subject) join budget b on b.id = u.budget_id
        cross join budget_time(b.period, now(), b.time_zone) t
        cross join lateral (select max(p.end_at) as end_at from budget_period p where p.budget_id = u.budget_id and p.subject = u.subject) l
      where l.end_at is null or l.end_at <= now();
  end if;
  return query select p.id, p.unit from unnest(p_budget, p_subject) with ordinality u(budget_id, subject, n)
    cross join lateral (select p.id, p.unit from budget_period p
      where p.budget_id = u.budget_id and p.subject = u.subject and p.end_at > now() order by p.start_at desc limit 1) p
    order by u.n;
end $$;

drop function apply_batch(int[], int[], bigint[], bigint[], boolean[], uuid[], int[], text[], bigint[], bigint[], int[], int[], uuid[], int[], int[], uuid[], int[], bigint[], bigint[]);
drop function apply_items(uuid[], int[], text[], bigint[], bigint[], int[], int[], uuid[], int[], int[], uuid[], int[], bigint[], bigint[]);

-- One batch of a replica's group commit, in one transaction: settlements first (they free room), then holds in the order in which
-- they came, each wholly or not at all. Exact over any number of replicas, as all of them lock the budget periods they touch, in the
-- order of their ids, before they read them. Safe to repeat: what is there is not written again.
--
-- A settlement: kind charge | void | at-bound. Result: 1 settled, 2 was settled before, 3 no such hold, 4 credited to a charge at the
-- bound; 5 and 6 as 1 and 4, but the amounts are above the bound (the hard budgets of that unit on the path are closed then).
-- A void without a hold takes the hold's place: the hold may arrive after it, from a caller who gave up, and must not stay then.
--
-- A hold's path is a number of a list in (p_end, p_period): list n is p_period[p_end[n-1]+1 .. p_end[n]]. 0: the path of attempt 1.
-- Verdict: 0 held, -1 was held before, -2 it, or attempt 1 of its request, was settled before, -3 its owner is dead, -4 attempt 1 holds nothing, so neither does this,
-- -5 its call came too often within its run by the budget in room;
-- > 0: the budget that refuses, and room what was left there (null: it is closed).
-- No two settlements of a batch, and no two holds, may be for the same (request, attempt).
--
-- p_owner: the owners of the holds. Totals (t_…, null where the caller cannot know them) are what the batch changes in each period if every settlement is the first for a
-- hold that is there, within its bound, and every hold fits; at-bound settlements come with the amounts of the bound then. t_takes: some
-- hold takes from that period. If all that is true, results and verdicts are null; if anything is not, nothing of it stays and the
-- batch is done item by item.
-- c_…: what of the holds is counted as a call, in the order of h_…: number of the hold, period, digest.
-- results = 'stale': a period is over, nothing was done.
create function apply_batch(
  p_owner int[], t_period int[], t_held bigint[], t_spent bigint[], t_takes boolean[],
  s_request uuid[], s_attempt int[], s_kind text[], s_cost bigint[], s_tokens bigint[],
  p_end int[], p_period int[],
  h_request uuid[], h_attempt int[], h_owner int[], h_key uuid[], h_path int[], h_cost bigint[], h_tokens bigint[],
  c_hold int[], c_period int[], c_digest text[],
  out results text, out verdicts text, out rooms text
) language plpgsql as $$
declare
  n int := cardinality(h_request); o int; fits boolean; due int[]; count int;
begin
  if n > 0 then
    -- Shared against fence_owner: after it nothing that was on its way can still be held.
    foreach o in array p_owner loop
      continue when pg_try_advisory_xact_lock_shared(8237, o);
      perform pg_advisory_xact_lock_shared(8237, o);
    end loop;
  end if;
  if t_period is not null then
    begin
      with taken as (
        update budget_period p set held = p.held + t.held, spent = p.spent + t.spent
        from unnest(t_period, t_held, t_spent, t_takes) t(id, held, spent, takes), budget b
        where p.id = t.id and b.id = p.budget_id
        returning not t.takes or p.end_at > now() and (not b.hard or not b.closed and p.held + p.spent <= b.limit_amount) as fits,
          p.id, p.spent >= p.warn_at as due
      ) select bool_and(taken.fits), array_agg(id) filter (where taken.due) into fits, due from taken;
      if not fits then raise sqlstate 'WB000'; end if;
      if cardinality(s_request) > 0 then
        insert into settlement (request_id, attempt, correction, kind, cost_nanos, tokens, requests)
          select s.request_id, s.attempt, false, s.kind, s.cost, s.tokens, case s.kind when 'void' then 0 else 1 end
          from unnest(s_request, s_attempt, s_kind, s_cost, s_tokens) s(request_id, attempt, kind, cost, tokens);
      end if;
      if n > 0 then
        insert into hold (request_id, attempt, owner_id, key_id, path, cost_nanos, tokens)
          select h.request_id, h.attempt, h.owner_id, h.key_id, p_period[case when h.path = 1 then 1 else p_end[h.path - 1] + 1 end : p_end[h.path]], h.cost, h.tokens
          from unnest(h_request, h_attempt, h_owner, h_key, h_path, h_cost, h_tokens) h(request_id, attempt, owner_id, key_id, path, cost, tokens)
          where not exists (select from owner where id = any(p_owner) and dead_at is not null);
        get diagnostics count = row_count;
        if count < n then raise sqlstate 'WB000'; end if;
        if cardinality(c_hold) > 0 then
          with counted as (
            insert into run_call as r (budget_period_id, digest, seen, seen_at)
              select c.period, c.digest, count(*), now() from unnest(c_period, c_digest) c(period, digest) group by 1, 2 order by 1, 2
              on conflict (budget_period_id, digest) do update set seen = r.seen + excluded.seen, seen_at = now()
              returning budget_period_id, seen
          ) select bool_and(c.seen <= b.max_identical_calls) into fits
            from counted c join budget_period p on p.id = c.budget_period_id join budget b on b.id = p.budget_id;
          if not fits then raise sqlstate 'WB000'; end if;
        end if;
      end if;
      if due is not null then perform warn(due); end if;
      return;
    -- The check is that of `held`: what is settled again was given back already.
    exception when unique_violation or check_violation or sqlstate 'WB000' then
      null;
    end;
  end if;
  select a.results, a.verdicts, a.rooms into results, verdicts, rooms
    from apply_items(s_request, s_attempt, s_kind, s_cost, s_tokens, p_end, p_period, h_request, h_attempt, h_owner, h_key, h_path, h_cost, h_tokens,
      c_hold, c_period, c_digest) a;
end $$;

-- apply_batch item by item; its locks on the owners are taken.
create function apply_items(
  s_request uuid[], s_attempt int[], s_kind text[], s_cost bigint[], s_tokens bigint[],
  p_end int[], p_period int[],
  h_request uuid[], h_attempt int[], h_owner int[], h_key uuid[], h_path int[], h_cost bigint[], h_tokens bigint[],
  c_hold int[], c_period int[], c_digest text[],
  out results text, out verdicts text, out rooms text
) language plpgsql as $$
declare
  result int[] := '{}'; verdict int[]; room_of bigint[]; dead int[]; flat int[] := '{}'; ids int[]; settled int[]; more int[];
  position int[]; room bigint[]; unit text[]; closed boolean[]; budget_of int[]; add_held bigint[];
  repeated int; n int := cardinality(h_request); i int; j int; k int; c int := 1; d int; a bigint; first int;
begin
  if n > 0 then
    select array_agg(o.id) into dead from owner o where o.id = any(h_owner) and o.dead_at is not null;

    if exists (select from budget_period where id = any(p_period) and end_at <= now()) then
      results := 'stale';
      return;
    end if;
    flat := p_period;

    verdict := array_fill(0, array[n]);
    room_of := array_fill(null::bigint, array[n]);
    for i in 1..n loop
      if h_path[i] = 0 then
        more := null;
        select h.path into more from hold h where h.request_id = h_request[i] and h.attempt = 1;
        if coalesce(cardinality(more), 0) = 0 then
          verdict[i] := -4;
        else
          flat := flat || more;
          p_end := p_end || cardinality(flat);
          h_path[i] := cardinality(p_end);
        end if;
      end if;
      if h_owner[i] = any(dead) then verdict[i] := -3; end if;
    end loop;
  end if;

  if cardinality(s_request) > 0 then
    -- Waits for a hold that another replica is just writing; the statements below see it then.
    insert into hold (request_id, attempt, owner_id, key_id, path, cost_nanos, tokens)
      select s.request_id, s.attempt, 0, '00000000-0000-0000-0000-000000000000', '{}', 0, 0
      from unnest(s_request, s_attempt, s_kind) s(request_id, attempt, kind) where s.kind = 'void' order by 1, 2
      on conflict do nothing;
    select array_agg(distinct b) into settled from hold h, unnest(h.path) b where h.request_id = any(s_request);
  end if;
  perform 1 from budget_period where id = any(flat || settled) order by id for no key update;

  if cardinality(s_request) > 0 then
    with s as (
      select * from unnest(s_request, s_attempt, s_kind, s_cost, s_tokens) with ordinality u(request_id, attempt, kind, cost, tokens, n)
    ), h as materialized ( -- = any() keeps to the index, a join to unnest() does not
      select request_id, attempt, path, cost_nanos, tokens from hold where request_id = any(s_request)
    ), unresolved as materialized (
      select request_id, attempt from settlement where request_id = any(s_request) and kind = 'at-bound' and not correction
    ), item as materialized (
      select s.n, s.request_id, s.attempt, s.kind, h.path, h.cost_nanos as bound_cost, h.tokens as bound_tokens,
        case s.kind when 'charge' then s.cost when 'void' then 0 else h.cost_nanos end as cost,
        case s.kind when 'charge' then s.tokens when 'void' then 0 else h.tokens end as tokens,
        case s.kind when 'void' then 0 else 1 end as requests
      from s left join h using (request_id, attempt)
    ), charged as (
      insert into settlement (request_id, attempt, correction, kind, cost_nanos, tokens, requests)
      select request_id, attempt, false, kind, cost, tokens, requests from item where path is not null
      on conflict do nothing returning request_id, attempt
    ), credited as (
      insert into settlement (request_id, attempt, correction, kind, cost_nanos, tokens, requests)
      select request_id, attempt, true, i.kind, least(cost, bound_cost) - bound_cost, least(tokens, bound_tokens) - bound_tokens, requests - 1
      from item i join unresolved using (request_id, attempt) where path is not null and i.kind <> 'at-bound'
      on conflict do nothing returning request_id, attempt, cost_nanos, tokens, requests
    ), moved as (
      select path, bound_cost as held_cost, bound_tokens as held_tokens, 1 as held_requests, cost, tokens, requests
      from item join charged using (request_id, attempt) where path is not null
      union all
      select path, 0, 0, 0, c.cost_nanos, c.tokens, c.requests from item join credited c using (request_id, attempt)
    ), total as (
      select b, sum(held_cost)::bigint hc, sum(held_tokens)::bigint ht, sum(held_requests)::bigint hr,
        sum(cost)::bigint sc, sum(tokens)::bigint st, sum(requests)::bigint sr
      from moved, unnest(path) b group by b
    ), written as (
      update budget_period p set
        held = held - case p.unit when 'nano-usd' then hc when 'tokens' then ht else hr end,
        spent = spent + case p.unit when 'nano-usd' then sc when 'tokens' then st else sr end
      from total where p.id = total.b
    )
    select array_agg(case
        when coalesce(cardinality(item.path), 0) = 0 then 3
        when charged.request_id is null and credited.request_id is null then 2
        else case when charged.request_id is not null then 1 else 4 end
          + case when item.cost <= item.bound_cost and item.tokens <= item.bound_tokens then 0
            when charged.request_id is not null then 4 else 2 end
      end order by item.n) into result
    from item left join charged using (request_id, attempt) left join credited using (request_id, attempt);

    if 5 = any(result) or 6 = any(result) then
      update budget set closed = true where hard and not budget.closed and id = any(array(
        select p.budget_id from unnest(s_request, s_attempt, s_cost, s_tokens, result) s(request_id, attempt, cost, tokens, result)
          join hold h on h.request_id = s.request_id and h.attempt = s.attempt
          join budget_period p on p.id = any(h.path)
        where s.result in (5, 6) and (p.unit = 'nano-usd' and s.cost > h.cost_nanos or p.unit = 'tokens' and s.tokens > h.tokens)));
    end if;
  end if;
  -- Corrections only lower what is spent, so what crossed a threshold was settled here.
  if exists (select from budget_period where id = any(settled) and spent >= warn_at) then
    perform warn(array(select id from budget_period where id = any(settled) and spent >= warn_at));
  end if;
  results := array_to_string(result, ',');
  if n = 0 then return; end if;

  if exists (select from hold where request_id = any(h_request)) or exists (select from settlement where request_id = any(h_request)) then
    for i in 1..n loop
      if exists (select from settlement s where s.request_id = h_request[i] and s.attempt = h_attempt[i]) then
        verdict[i] := -2;
      elsif exists (select from hold h where h.request_id = h_request[i] and h.attempt = h_attempt[i]) then
        verdict[i] := -1;
      -- The first attempt is settled when its request is over: an extension that comes later would be held for ever.
      elsif h_attempt[i] > 1 and exists (select from settlement s where s.request_id = h_request[i] and s.attempt = 1) then
        verdict[i] := -2;
      end if;
    end loop;
  end if;

  -- A soft budget has no room to run out of.
  select array_agg(p.id order by p.id), array_agg(p.unit order by p.id), array_agg(b.id order by p.id), array_agg(b.hard and b.closed order by p.id),
    array_agg(case when b.hard then b.limit_amount - p.held - p.spent end order by p.id)
    into ids, unit, budget_of, closed, room
  from budget_period p join budget b on b.id = p.budget_id where p.id = any(flat);
  select array_agg(array_position(ids, f.id) order by f.n) into position from unnest(flat) with ordinality f(id, n);
  add_held := array_fill(0::bigint, array[coalesce(cardinality(ids), 0)]);

  for i in 1..n loop
    continue when verdict[i] <> 0;
    first := case when h_path[i] = 1 then 1 else p_end[h_path[i] - 1] + 1 end;
    for j in first..p_end[h_path[i]] loop
      k := position[j];
      a := case unit[k] when 'nano-usd' then h_cost[i] when 'tokens' then h_tokens[i] else 1 end;
      if closed[k] or room[k] < a then
        verdict[i] := budget_of[k];
        room_of[i] := case when closed[k] then null else room[k] end;
        exit;
      end if;
    end loop;
    -- The calls of a batch are in the order of its holds.
    while c_hold[c] < i loop c := c + 1; end loop;
    d := c;
    while verdict[i] = 0 and c_hold[d] = i loop
      select b.id into repeated from run_call r join budget_period p on p.id = r.budget_period_id join budget b on b.id = p.budget_id
        where r.budget_period_id = c_period[d] and r.digest = c_digest[d] and r.seen >= b.max_identical_calls;
      if found then
        verdict[i] := -5;
        room_of[i] := repeated;
      end if;
      d := d + 1;
    end loop;
    continue when verdict[i] <> 0;
    while c_hold[c] = i loop
      insert into run_call as r (budget_period_id, digest, seen, seen_at) values (c_period[c], c_digest[c], 1, now())
        on conflict (budget_period_id, digest) do update set seen = r.seen + 1, seen_at = now();
      c := c + 1;
    end loop;
    for j in first..p_end[h_path[i]] loop
      k := position[j];
      a := case unit[k] when 'nano-usd' then h_cost[i] when 'tokens' then h_tokens[i] else 1 end;
      room[k] := room[k] - a;
      add_held[k] := add_held[k] + a;
    end loop;
  end loop;

  update budget_period p set held = held + d.amount from unnest(ids, add_held) d(id, amount) where p.id = d.id and d.amount <> 0;
  insert into hold (request_id, attempt, owner_id, key_id, path, cost_nanos, tokens)
    select u.request_id, u.attempt, u.owner_id, u.key_id, flat[case when u.path = 1 then 1 else p_end[u.path - 1] + 1 end : p_end[u.path]], u.cost, u.tokens
    from unnest(h_request, h_attempt, h_owner, h_key, h_path, h_cost, h_tokens, verdict) u(request_id, attempt, owner_id, key_id, path, cost, tokens, verdict)
    where u.verdict = 0;
  verdicts := array_to_string(verdict, ',');
  rooms := array_to_string(room_of, ',', '-');
end $$;

