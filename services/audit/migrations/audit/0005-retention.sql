-- Retention and legal hold. Records leave only through retain(), which checks policy and holds by the database's own clock and appends what it
-- removed to the log, in the same transaction: signed heads cover it. Leaves stay for ever, so every proof still holds.
--
-- The application's role may call these functions and write none of these tables: whoever has its connection cannot make a policy that was
-- always there, or a removal that nobody recorded.

-- When the log took it, by the database's clock: a producer's clock alone must not make a record old.
alter table audit_record add column stored_at timestamptz not null default now();

-- workspace '': the default of all that have none of their own, and of records that are of no workspace.
-- Null: for ever; both are null where the workspace inherits again.
create table retention_policy (
  version bigint generated always as identity primary key,
  workspace text not null,
  inherits boolean not null check (not inherits or (workspace <> '' and records_ms is null and payloads_ms is null)),
  records_ms bigint check (records_ms >= 60000),
  payloads_ms bigint check (payloads_ms >= 60000),
  since_ms bigint not null,
  -- Its record in the log.
  record bigint not null
);
create index on retention_policy (workspace, version desc);

-- key_id '': all keys of the workspace. to_ms null: it has no end.
create table legal_hold (
  id uuid primary key,
  workspace text not null,
  key_id text not null,
  from_ms bigint not null,
  to_ms bigint,
  reason text not null,
  at_ms bigint not null,
  record bigint not null
);

create table legal_hold_release (
  id uuid primary key,
  reason text not null,
  at_ms bigint not null,
  record bigint not null
);

-- What a run removed. what 1: records, with the payloads that were left; 2: payloads.
create table retention_run (
  record bigint primary key,
  xact xid8 not null default pg_current_xact_id(),
  what smallint not null,
  workspace text not null,
  indexes int8multirange not null
);
create index on retention_run (xact);

-- Whose payloads retention removed, by the random ids of subjects: what an erasure destroyed can still be told.
create table removed_payload (
  index bigint primary key,
  subject uuid not null
);
create index on removed_payload (subject, index);

do $$
declare name text;
begin
  foreach name in array array['retention_policy', 'legal_hold', 'legal_hold_release', 'retention_run', 'removed_payload'] loop
    execute format('create trigger deny_row before update or delete on %I for each row execute function deny()', name);
    execute format('create trigger deny_statement before update or delete or truncate on %I for each statement execute function deny()', name);
    execute format('alter table %I enable always trigger deny_row', name);
    execute format('alter table %I enable always trigger deny_statement', name);
  end loop;
end $$;

-- A row may go if a run of this very transaction names it; whoever owns the tables is held to that, too.
create function deny_unless_retained() returns trigger language plpgsql set search_path = audit, pg_temp as $$
begin
  if tg_op = 'DELETE' and tg_level = 'STATEMENT' then
    if exists (select from retention_run where xact = pg_current_xact_id_if_assigned()) then return null; end if;
  elsif tg_op = 'DELETE' then
    if exists (select from retention_run r where r.xact = pg_current_xact_id_if_assigned() and r.indexes @> old.index
               and (r.what = 1 or tg_table_name = 'audit_payload')) then
      return old;
    end if;
  end if;
  raise exception '% on audit.% is denied: the log is append-only', tg_op, tg_table_name using errcode = 'insufficient_privilege';
end $$;

do $$
declare name text;
begin
  foreach name in array array['audit_record', 'audit_payload'] loop
    execute format('drop trigger deny_row on %I', name);
    execute format('drop trigger deny_statement on %I', name);
    execute format('create trigger deny_row before update or delete on %I for each row execute function deny_unless_retained()', name);
    execute format('create trigger deny_statement before update or delete or truncate on %I for each statement execute function deny_unless_retained()', name);
    execute format('alter table %I enable always trigger deny_row', name);
    execute format('alter table %I enable always trigger deny_statement', name);
  end loop;
end $$;

create function now_ms() returns bigint language sql volatile set search_path = audit, pg_temp
return (extract(epoch from clock_timestamp()) * 1000)::bigint;

-- The wire format of protobuf, as far as our own records need it. Fields that are 0 or empty are left out, as proto3 does.
create function varint(value bigint) returns bytea language plpgsql immutable strict set search_path = audit, pg_temp as $$
declare
  rest bigint := value;
  bytes bytea := '';
begin
  if rest < 0 then raise exception 'varint() takes numbers from 0' using errcode = 'invalid_parameter_value'; end if;
  while rest > 127 loop
    bytes := bytes || set_byte('\x00', 0, ((rest & 127) | 128)::int);
    rest := rest >> 7;
  end loop;
  return bytes || set_byte('\x00', 0, rest::int);
end $$;

create function field(number int, value bigint) returns bytea language sql immutable set search_path = audit, pg_temp
return case when coalesce(value, 0) = 0 then '\x'::bytea else varint(number << 3) || varint(value) end;

create function field(number int, value bytea) returns bytea language sql immutable set search_path = audit, pg_temp
return case when coalesce(length(value), 0) = 0 then '\x'::bytea else varint((number << 3) | 2) || varint(length(value)) || value end;

create function field(number int, value text) returns bytea language sql immutable set search_path = audit, pg_temp
return field(number, convert_to(value, 'UTF8'));

-- A record of the log's own, under the producer weir.audit, through the sequencer; its leaf is hashed as packages/proofs says. Returns its index.
create function append_own(p_kind smallint, p_workspace text, p_key_id text, p_at_ms bigint, p_header bytea) returns bigint
  language plpgsql set search_path = audit, pg_temp as $$
declare
  own constant text := 'weir.audit';
  owner_id int;
  own_number bigint;
  next_index bigint;
begin
  perform pg_advisory_xact_lock(hashtextextended('weir.audit.append', 0));
  insert into producer (name) values (own) on conflict do nothing;
  select id into owner_id from producer where name = own;
  select coalesce(max(number), 0) + 1 into own_number from audit_leaf where audit_leaf.producer = owner_id and number > 0;
  select coalesce(max(index) + 1, 0) into next_index from audit_leaf;
  insert into audit_leaf (index, number, intent_number, producer, kind, hash)
  values (next_index, own_number, 0, owner_id, p_kind,
          sha256('\x0001'::bytea || set_byte('\x00', 0, p_kind) || '\x00'::bytea || int8send(own_number) || int8send(0)
                 || int2send(length(own)::smallint) || convert_to(own, 'UTF8') || int2send(0::smallint)
                 || int4send(length(p_header)) || p_header || sha256('')));
  insert into audit_record (index, at_ms, cost_nanos, input_tokens, output_tokens, status, outcome, kind, payload_omitted, repeated,
                            workspace, key_id, model, provider, header)
  values (next_index, p_at_ms, 0, 0, 0, 0, 0, p_kind, false, false, p_workspace, p_key_id, '', '', p_header);
  insert into producer_progress as p (producer, accounted) values (owner_id, int8multirange(int8range(own_number, own_number + 1)))
  on conflict (producer) do update set accounted = p.accounted + excluded.accounted;
  return next_index;
end $$;

create function checked_name(what text, value text) returns text language plpgsql immutable set search_path = audit, pg_temp as $$
begin
  if value is null or length(value) > 256 or value ~ '[[:cntrl:]]' then
    raise exception '% is no name', what using errcode = 'invalid_parameter_value';
  end if;
  return value;
end $$;

create function checked_reason(value text) returns text language plpgsql immutable set search_path = audit, pg_temp as $$
begin
  if value is null or value = '' or length(value) > 1024 then
    raise exception 'a reason has 1 to 1024 characters' using errcode = 'invalid_parameter_value';
  end if;
  return value;
end $$;

-- Null or 0: for ever. Returns the index of its record; that of the policy in force where it says the same.
create function set_retention(p_workspace text, p_inherits boolean, p_records_ms bigint, p_payloads_ms bigint) returns bigint
  language plpgsql security definer set search_path = audit, pg_temp as $$
declare
  wanted_records constant bigint := nullif(p_records_ms, 0);
  wanted_payloads constant bigint := nullif(p_payloads_ms, 0);
  wanted_inherits constant boolean := coalesce(p_inherits, false);
  last retention_policy;
  at bigint;
  own bigint;
begin
  perform checked_name('the workspace', p_workspace);
  perform pg_advisory_xact_lock(hashtextextended('weir.audit.append', 0));
  select * into last from retention_policy where workspace = p_workspace order by version desc limit 1;
  if found and last.inherits = wanted_inherits and last.records_ms is not distinct from wanted_records
     and last.payloads_ms is not distinct from wanted_payloads then
    return last.record;
  end if;
  at := greatest(now_ms(), coalesce(last.since_ms, 0));
  own := append_own(11::smallint, p_workspace, '', at,
    field(1, at) || field(2, p_workspace) || field(3, wanted_inherits::int::bigint) || field(4, wanted_records) || field(5, wanted_payloads));
  insert into retention_policy (workspace, inherits, records_ms, payloads_ms, since_ms, record)
  values (p_workspace, wanted_inherits, wanted_records, wanted_payloads, at, own);
  return own;
end $$;

-- The policy in force for a workspace at a time: its own, or the default. No row: there is none, and all is kept.
create function policy_at(p_workspace text, p_at_ms bigint) returns setof retention_policy language plpgsql stable
  set search_path = audit, pg_temp as $$
declare found_policy retention_policy;
begin
  select * into found_policy from retention_policy where workspace = p_workspace and since_ms <= p_at_ms order by version desc limit 1;
  if not found or found_policy.inherits then
    select * into found_policy from retention_policy where workspace = '' and since_ms <= p_at_ms order by version desc limit 1;
  end if;
  if found then return next found_policy; end if;
end $$;

-- How long retain() keeps what: the longest time of the policies that were in force within the last seven days, so that whoever shortens one
-- by mistake, or with bad intent, is noticed before anything is gone. keep_ms null: for ever. record: of the policy that is in force now.
create function keeping(p_workspace text, p_what smallint, p_now_ms bigint, out keep_ms bigint, out record bigint) language plpgsql stable
  set search_path = audit, pg_temp as $$
declare
  grace_ms constant bigint := 7 * 86400000;
  point bigint;
  policy retention_policy;
  here bigint;
begin
  for point in
    select p_now_ms - grace_ms
    union select since_ms from retention_policy where workspace in (p_workspace, '') and since_ms > p_now_ms - grace_ms and since_ms <= p_now_ms
    order by 1
  loop
    select * into policy from policy_at(p_workspace, point);
    here := case when p_what = 1 then policy.records_ms else policy.payloads_ms end;
    if not found or here is null then
      keep_ms := null;
      record := null;
      return;
    end if;
    keep_ms := greatest(keep_ms, here);
    record := policy.record;
  end loop;
end $$;

-- Whether a hold that was not released covers any of this. p_key_id null: any key; p_to_ms null: no end. Who destroys keys or rows otherwise asks
-- under the sequencer's lock, which placing a hold takes, too.
create function held(p_workspace text, p_key_id text, p_from_ms bigint, p_to_ms bigint) returns uuid language sql stable
  set search_path = audit, pg_temp
return (
  select h.id from legal_hold h
  where h.workspace = p_workspace and (h.key_id = '' or p_key_id is null or h.key_id = p_key_id)
    and (p_to_ms is null or h.from_ms < p_to_ms) and (h.to_ms is null or h.to_ms > coalesce(p_from_ms, 0))
    and not exists (select from legal_hold_release l where l.id = h.id)
  limit 1
);

-- Returns the index of its record.
create function place_hold(p_id uuid, p_workspace text, p_key_id text, p_from_ms bigint, p_to_ms bigint, p_reason text) returns bigint
  language plpgsql security definer set search_path = audit, pg_temp as $$
declare
  at constant bigint := now_ms();
  ends constant bigint := nullif(p_to_ms, 0);
  own bigint;
begin
  if p_id is null then raise exception 'a hold has an id' using errcode = 'invalid_parameter_value'; end if;
  if checked_name('the workspace', p_workspace) = '' then
    raise exception 'a hold is of a workspace' using errcode = 'invalid_parameter_value';
  end if;
  perform checked_name('the key', p_key_id);
  perform checked_reason(p_reason);
  if coalesce(p_from_ms, -1) < 0 or ends <= p_from_ms then
    raise exception 'a hold ends after its beginning' using errcode = 'invalid_parameter_value';
  end if;
  own := append_own(12::smallint, p_workspace, p_key_id, at,
    field(1, at) || field(2, p_id::text) || field(3, p_workspace) || field(4, p_key_id) || field(5, p_from_ms) || field(6, ends)
    || field(7, p_reason));
  insert into legal_hold (id, workspace, key_id, from_ms, to_ms, reason, at_ms, record)
  values (p_id, p_workspace, p_key_id, p_from_ms, ends, p_reason, at, own);
  return own;
end $$;

-- Returns the index of its record; of the first one where it was released already.
create function release_hold(p_id uuid, p_reason text) returns bigint
  language plpgsql security definer set search_path = audit, pg_temp as $$
declare
  at constant bigint := now_ms();
  hold legal_hold;
  own bigint;
begin
  perform checked_reason(p_reason);
  perform pg_advisory_xact_lock(hashtextextended('weir.audit.append', 0));
  select * into hold from legal_hold where id = p_id;
  if not found then raise exception 'there is no hold %', p_id using errcode = 'no_data_found'; end if;
  select record into own from legal_hold_release where id = p_id;
  if found then return own; end if;
  own := append_own(13::smallint, hold.workspace, hold.key_id, at,
    field(1, at) || field(2, p_id::text) || field(3, hold.workspace) || field(4, p_reason));
  insert into legal_hold_release (id, reason, at_ms, record) values (p_id, p_reason, at, own);
  return own;
end $$;

-- Looks at a stretch of the log behind p_after and removes what is due there, at most p_limit (to 1000) rows. What is due: stored and made longer ago
-- than its workspace's policy says, and under no hold. A producer's clock may lengthen the time by a day at most.
--
-- p_what 'records' takes headers, columns and what payload is left, of what requests left behind and of bytes that nobody could read; never
-- epochs, marks, signatures or the log's own records, which proofs need. 'payloads' takes payloads. p_workspace null: all.
--
-- Returns a row for each workspace with what was removed and the index of the record that says so (null in a dry run), and last a row with
-- removed = 0 and where the next stretch begins behind; null: there is nothing that could be due.
create function retain(p_what text, p_workspace text, p_after bigint, p_limit int, p_dry_run boolean)
  returns table (workspace text, removed bigint, first_index bigint, last_index bigint, record bigint, next_after bigint)
  language plpgsql security definer set search_path = audit, pg_temp set enable_seqscan = off set enable_hashjoin = off as $$
#variable_conflict use_column
declare
  stretch constant int := 5000;
  clock_slack_ms constant bigint := 86400000;
  most constant int := least(greatest(coalesce(p_limit, 1000), 1), 1000);
  what constant smallint := case p_what when 'records' then 1 when 'payloads' then 2 end;
  dry constant boolean := coalesce(p_dry_run, true);
  at bigint;
  found_indexes bigint[];
  found_workspaces text[];
  looked_count int;
  looked_last bigint;
  youngest bigint;
  shortest bigint;
  part record;
begin
  if what is null then raise exception 'only records and payloads are retained' using errcode = 'invalid_parameter_value'; end if;
  -- Before anything is looked at: a hold that is placed meanwhile waits, or was there.
  if not dry then perform pg_advisory_xact_lock(hashtextextended('weir.audit.append', 0)); end if;
  at := now_ms();

  with looked as materialized (
    select * from (
      select r.index, r.workspace, r.key_id, r.at_ms, r.kind, (extract(epoch from r.stored_at) * 1000)::bigint as stored_ms
      from audit_record r where what = 1 and r.index > coalesce(p_after, -1) order by r.index limit stretch
    ) of_records
    union all select * from (
      select r.index, r.workspace, r.key_id, r.at_ms, r.kind, (extract(epoch from r.stored_at) * 1000)::bigint
      from audit_payload s join audit_record r on r.index = s.index
      where what = 2 and s.index > coalesce(p_after, -1) order by s.index limit stretch
    ) of_payloads
  ), kept as materialized (
    select w.workspace, at - k.keep_ms as before_ms from (select distinct workspace from looked) w, keeping(w.workspace, what, at) k
  ), due as (
    select l.index, l.workspace from looked l join kept k using (workspace)
    where l.stored_ms < k.before_ms and least(l.at_ms, l.stored_ms + clock_slack_ms) < k.before_ms
      and (what = 2 or l.kind in (2, 3, 4, 7)) and (p_workspace is null or l.workspace = p_workspace)
      and held(l.workspace, l.key_id, l.at_ms, l.at_ms + 1) is null
    order by l.index limit most
  )
  select array_agg(d.index order by d.index), array_agg(d.workspace order by d.index),
         (select count(*) from looked), (select max(index) from looked), (select max(stored_ms) from looked)
  into found_indexes, found_workspaces, looked_count, looked_last, youngest from due d;

  for part in
    select f.workspace as name, array_agg(f.index order by f.index) as indexes, range_agg(int8range(f.index, f.index + 1)) as ranges
    from unnest(found_workspaces, found_indexes) f(workspace, index) group by f.workspace order by f.workspace
  loop
    workspace := part.name;
    removed := cardinality(part.indexes);
    first_index := part.indexes[1];
    last_index := part.indexes[removed];
    record := null;
    next_after := null;
    if not dry then
      record := (
        select append_own(10::smallint, part.name, '', at,
          field(1, at) || field(2, what::bigint) || field(3, part.name) || field(4, k.record) || field(5, k.keep_ms) || field(6, at - k.keep_ms)
          || field(7, removed) || field(8, first_index) || field(9, last_index) || field(10, (
            select string_agg(varint(lower(x.r) - x.before) || varint(upper(x.r) - lower(x.r)), ''::bytea order by lower(x.r))
            from (select r, lag(upper(r), 1, 0::bigint) over (order by lower(r)) as before from unnest(part.ranges) r) x)))
        from keeping(part.name, what, at) k);
      insert into retention_run (record, what, workspace, indexes) values (record, what, part.name, part.ranges);
      insert into removed_payload (index, subject)
      select s.index, s.subject from audit_payload s where s.index = any (part.indexes) and s.subject is not null;
      delete from audit_payload where index = any (part.indexes);
      if what = 1 then delete from audit_record where index = any (part.indexes); end if;
    end if;
    return next;
  end loop;

  -- Behind what is younger than the shortest time there is nothing due: what was stored later lies behind.
  select min(k.keep_ms) into shortest
  from (select distinct p.workspace from retention_policy p union select '') w, keeping(w.workspace, what, at) k;
  workspace := null;
  removed := 0;
  first_index := null;
  last_index := null;
  record := null;
  next_after := case
    when cardinality(found_indexes) = most then found_indexes[most]
    when looked_count < stretch or shortest is null or youngest >= at - shortest then null
    else looked_last
  end;
  return next;
end $$;

grant select on retention_policy, legal_hold, legal_hold_release, retention_run, removed_payload to weir_audit;
revoke execute on all functions in schema audit from public;
grant execute on function set_retention, keeping, policy_at, held, place_hold, release_hold, retain, now_ms to weir_audit;
