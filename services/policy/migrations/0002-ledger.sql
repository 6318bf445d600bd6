-- The ledger: append-only and double-entry. A hold moves its amounts from "available" to "held" in each budget period of its path; its
-- settlement moves them out of "held", what was used to "spent", the rest back. A correction credits "spent". `held` and `spent` in
-- budget_period are the sums of those rows, kept in the same transaction; verify_ledger() computes them anew.

create table owner (
  id int generated always as identity primary key,
  name text not null unique check (length(name) <= 256),
  -- Set by fence_owner: from then on nothing is held for it.
  dead_at timestamptz,
  -- All its holds from before are settled: who looks for open ones begins here, see advance_owner.
  settled_before timestamptz not null default '-infinity'
);

create table budget_period (
  id int generated always as identity primary key,
  budget_id int not null references budget,
  unit text not null,
  start_at timestamptz not null,
  held bigint not null default 0 check (held >= 0),
  spent bigint not null default 0 check (spent >= 0),
  unique (budget_id, start_at)
) with (fillfactor = 40); -- room on the page for the next versions of a row that each batch updates

create table hold (
  request_id uuid not null,
  attempt int not null,
  owner_id int not null,
  key_id uuid not null,
  -- The budget periods it is in, from the organization down; in each the amount of that budget's unit, one request in the last one.
  -- Empty: a void came before the hold, which must not be held any more.
  path int[] not null,
  cost_nanos bigint not null check (cost_nanos >= 0),
  tokens bigint not null check (tokens >= 0),
  created_at timestamptz not null default now(),
  primary key (request_id, attempt)
);
create index hold_of_owner on hold (owner_id, created_at);

create table settlement (
  request_id uuid not null,
  attempt int not null,
  -- False: what was charged for the hold. True: a later credit to a charge that was made at the bound, in amounts <= 0.
  correction boolean not null,
  kind text not null check (kind in ('charge', 'void', 'at-bound')),
  cost_nanos bigint not null,
  tokens bigint not null,
  requests int not null,
  created_at timestamptz not null default now(),
  primary key (request_id, attempt, correction),
  check (correction or (cost_nanos >= 0 and tokens >= 0 and requests >= 0)),
  check (not correction or (cost_nanos <= 0 and tokens <= 0 and requests <= 0))
);

create function period_start(p_period text, p_at timestamptz) returns timestamptz language sql immutable parallel safe as $$
  select case p_period when 'total' then to_timestamp(0) else date_trunc(p_period, p_at, 'UTC') end
$$;

-- One batch of a replica's group commit, in one transaction: settlements first (they free room), then holds in the order in which
-- they came, each wholly or not at all. Exact over any number of replicas, as all of them lock the budget periods they touch, in the
-- order of their ids, before they read them. Safe to repeat: what is there is not written again.
--
-- A settlement: kind charge | void | at-bound. Result: 1 settled, 2 was settled before, 3 no such hold, 4 credited to a charge at the
-- bound; 5 and 6 as 1 and 4, but the amounts are above the bound (the hard budgets of that unit on the path are closed then).
-- A void without a hold takes the hold's place: the hold may arrive after it, from a caller who gave up, and must not stay then.
--
-- A hold's path is a number of a list in (p_end, p_budget): list n is p_budget[p_end[n-1]+1 .. p_end[n]]. 0: the path of attempt 1.
-- Verdict: 0 held, -1 was held before, -2 it, or attempt 1 of its request, was settled before, -3 its owner is dead, -4 attempt 1 holds nothing, so neither does this;
-- > 0: the budget that refuses, and p_room what was left there (null: it is closed).
-- No two settlements of a batch, and no two holds, may be for the same (request, attempt).
create function apply_batch(
  s_request uuid[], s_attempt int[], s_kind text[], s_cost bigint[], s_tokens bigint[],
  p_end int[], p_budget int[],
  h_request uuid[], h_attempt int[], h_owner int[], h_key uuid[], h_path int[], h_cost bigint[], h_tokens bigint[],
  out results text, out verdicts text, out rooms text
) language plpgsql as $$
declare
  result int[] := '{}'; verdict int[]; room_of bigint[]; dead int[]; flat int[] := '{}'; ids int[]; settled int[]; more int[];
  position int[]; room bigint[]; unit text[]; closed boolean[]; budget_of int[]; add_held bigint[];
  n int := cardinality(h_request); i int; j int; k int; a bigint; first int;
begin
  if n > 0 then
    -- Shared against fence_owner: after it nothing that was on its way can still be held.
    perform pg_advisory_xact_lock_shared(8237, o.id) from (select distinct unnest(h_owner) as id) o;
    select array_agg(o.id) into dead from owner o where o.id = any(h_owner) and o.dead_at is not null;

    for i in 1..2 loop
      select coalesce(array_agg(p.id order by u.n), '{}') into flat
      from unnest(p_budget) with ordinality u(budget_id, n) join budget b on b.id = u.budget_id
        join budget_period p on p.budget_id = b.id and p.start_at = period_start(b.period, now());
      exit when cardinality(flat) = cardinality(p_budget);
      insert into budget_period (budget_id, unit, start_at)
        select b.id, b.unit, period_start(b.period, now()) from budget b where b.id = any(p_budget) order by b.id
        on conflict do nothing;
    end loop;
    if cardinality(flat) <> cardinality(p_budget) then raise exception 'a path names a budget that does not exist'; end if;

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
    continue when verdict[i] <> 0;
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

-- From here on nothing is held for this owner; waits for the batches that are about to.
create function fence_owner(p_name text) returns int language plpgsql as $$
declare o int;
begin
  insert into owner (name) values (p_name) on conflict do nothing;
  select id into o from owner where name = p_name;
  perform pg_advisory_xact_lock(8237, o);
  update owner set dead_at = now() where id = o and dead_at is null;
  return o;
end $$;

-- What of its holds nobody settled. The five minutes are for a server clock that was set back.
create function open_holds(p_name text) returns table (request_id uuid, attempt int) language sql stable as $$
  select h.request_id, h.attempt from owner o join hold h on h.owner_id = o.id and h.created_at >= o.settled_before - interval '5 minutes'
  where o.name = p_name and not exists (select from settlement s where s.request_id = h.request_id and s.attempt = h.attempt)
$$;

-- Moves settled_before over what is settled, so that open_holds need not read all that an owner ever held. What is younger than a
-- minute is left out, as a transaction that began earlier may still commit. Returns whether there is more to look at.
create function advance_owner(p_owner int, p_most int) returns boolean language plpgsql as $$
declare since timestamptz; first_open timestamptz; last timestamptz; n int;
begin
  select settled_before into since from owner where id = p_owner;
  select min(created_at) filter (where open), max(created_at), count(*) into first_open, last, n from (
    select h.created_at, not exists (select from settlement s where s.request_id = h.request_id and s.attempt = h.attempt) as open
    from hold h where h.owner_id = p_owner and h.created_at >= since and h.created_at < now() - interval '1 minute'
    order by h.created_at limit p_most) x;
  update owner set settled_before = coalesce(first_open, last) where id = p_owner and settled_before < coalesce(first_open, last);
  return n = p_most and first_open is null;
end $$;

-- Budget periods whose sums are not those of their entries: none, or the ledger is broken.
create function verify_ledger() returns table (budget_period_id int, held bigint, held_by_entries bigint, spent bigint, spent_by_entries bigint)
language sql stable as $$
  with entry as (
    select b as id, case p.unit when 'nano-usd' then h.cost_nanos when 'tokens' then h.tokens else 1 end as held,
      not exists (select from settlement s where s.request_id = h.request_id and s.attempt = h.attempt) as open,
      coalesce((select sum(case p.unit when 'nano-usd' then s.cost_nanos when 'tokens' then s.tokens else s.requests end)
        from settlement s where s.request_id = h.request_id and s.attempt = h.attempt), 0) as spent
    from hold h cross join unnest(h.path) b join budget_period p on p.id = b
  ), total as (
    select id, coalesce(sum(entry.held) filter (where open), 0)::bigint as held, sum(entry.spent)::bigint as spent from entry group by id
  )
  select p.id, p.held, coalesce(t.held, 0), p.spent, coalesce(t.spent, 0) from budget_period p left join total t on t.id = p.id
  where p.held <> coalesce(t.held, 0) or p.spent <> coalesce(t.spent, 0)
$$;

grant select, insert, update on owner, budget_period to weir_policy;
grant select, insert on hold, settlement to weir_policy;
