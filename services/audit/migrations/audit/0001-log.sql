-- The append-only log. Role weir_audit is what the service acts as: it owns nothing, and can neither change nor delete what is logged.

create table producer (
  id int generated always as identity primary key,
  name text not null unique
);

-- index: the position in the log, from 0, without gaps; given by append() below.
-- number: the producer's own; negative for bytes that could not be read: minus the first number that they stood for, and intent_number
-- is then the last; or a digest of them, if nobody knows.
-- intent_producer: null where the intent is the same producer's.
create table audit_leaf (
  index bigint primary key,
  number bigint not null,
  intent_number bigint not null,
  producer int not null,
  intent_producer int,
  kind smallint not null,
  hash bytea not null check (octet_length(hash) = 32),
  unique (producer, number)
);

-- The columns repeat what the header says, to be searched; the header is what the leaf commits to.
create table audit_record (
  index bigint primary key,
  at_ms bigint not null,
  cost_nanos bigint not null,
  input_tokens bigint not null,
  output_tokens bigint not null,
  status bigint not null,
  outcome smallint not null,
  kind smallint not null,
  -- There was a payload and the producer had no room for it.
  payload_omitted boolean not null,
  -- One more "nobody knows" about an intent that has one: kept, since a leaf commits to it, and never counted or listed.
  repeated boolean not null,
  request_id uuid,
  workspace text not null,
  key_id text not null,
  model text not null,
  provider text not null,
  header bytea not null
);
create index on audit_record (request_id) where request_id is not null;
create index on audit_record (at_ms, index);
create index on audit_record (workspace, at_ms, index) where workspace <> '';

create table audit_payload (
  index bigint primary key,
  sealed bytea not null
);
-- Sealed bytes do not compress.
alter table audit_payload alter column sealed set storage external;

-- The first "nobody knows" of each intent.
create table unknown_outcome (
  intent_producer int not null,
  intent_number bigint not null,
  index bigint not null,
  primary key (intent_producer, intent_number)
);

-- Bookkeeping, kept in the transaction that appends. It follows from the log and is the only table that is updated.
create table producer_progress (
  producer int primary key,
  -- Numbers that a leaf has or answers.
  accounted int8multirange not null,
  -- Of its epoch-close.
  close_number bigint,
  -- The last valid number, as its successor found it.
  last_number bigint
) with (fillfactor = 50);

create function deny() returns trigger language plpgsql as $$
begin
  raise exception '% on audit.% is denied: the log is append-only', tg_op, tg_table_name using errcode = 'insufficient_privilege';
end $$;

-- Row triggers do not see TRUNCATE, and statement triggers also stop what touches no row. ALWAYS: session_replication_role does not
-- switch them off.
do $$
declare name text;
begin
  foreach name in array array['producer', 'audit_leaf', 'audit_record', 'audit_payload', 'unknown_outcome'] loop
    execute format('create trigger deny_row before update or delete on %I for each row execute function deny()', name);
    execute format('create trigger deny_statement before update or delete or truncate on %I for each statement execute function deny()', name);
    execute format('alter table %I enable always trigger deny_row', name);
    execute format('alter table %I enable always trigger deny_statement', name);
  end loop;
end $$;

-- Appends a batch, and is the one sequencer: the lock is held to the end of the transaction, so indexes have the order of commits and
-- no gaps. Records that are there already (by producer and number) are passed over.
--
-- Bytes and texts come as one value each and are cut here: parsing bytea[] and text[] costs more than all the rest.
--   p_blob: per record the leaf hash (32 bytes), header, payload; p_texts: per record request id, workspace, key id, model, provider,
--   separated by U+001F; p_producer, p_intent_producer: places in p_producers, from 1 (0: none).
-- Returns how many records were new.
create function append(
  p_producers text[], p_accounted int8multirange[], p_close bigint[], p_last bigint[],
  p_producer int[], p_number bigint[], p_intent_producer int[], p_intent_number bigint[], p_kind smallint[],
  p_at_ms bigint[], p_outcome smallint[], p_status bigint[], p_input bigint[], p_output bigint[], p_cost bigint[],
  p_start int[], p_header int[], p_payload int[], p_omitted int[], p_texts text, p_blob bytea
) returns int language plpgsql
  set search_path = audit, pg_temp
  -- A plan made while the table was small would scan it for ever after.
  set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
as $$
declare
  ids int[];
  base bigint;
  texts text[] := string_to_array(p_texts, E'\x1f');
  fresh_count int;
begin
  perform pg_advisory_xact_lock(hashtextextended('weir.audit.append', 0));

  ids := array(select p.id from unnest(p_producers) with ordinality n(name, o) left join producer p using (name) order by n.o);
  if array_position(ids, null) is not null then
    insert into producer (name) select name from unnest(p_producers) n(name) on conflict do nothing;
    ids := array(select p.id from unnest(p_producers) with ordinality n(name, o) join producer p using (name) order by n.o);
  end if;

  select coalesce(max(index) + 1, 0) into base from audit_leaf;

  with given as (
    select * from unnest(p_producer, p_number, p_intent_producer, p_intent_number, p_kind, p_at_ms, p_outcome, p_status, p_input,
                         p_output, p_cost, p_start, p_header, p_payload, p_omitted) with ordinality
      g(producer, number, intent_producer, intent_number, kind, at_ms, outcome, status, input, output, cost, start, header, payload, omitted, o)
  ), fresh as materialized (
    select g.*, ids[g.producer] as producer_id, ids[nullif(g.intent_producer, 0)] as intent_producer_id,
           base - 1 + row_number() over (order by g.o) as index
    from given g
    where not exists (select from audit_leaf l where l.producer = ids[g.producer] and l.number = g.number)
  ), leaf as (
    insert into audit_leaf (index, number, intent_number, producer, intent_producer, kind, hash)
    select index, number, intent_number, producer_id, intent_producer_id, kind, substring(p_blob from start for 32) from fresh
  ), unknown as (
    insert into unknown_outcome (intent_producer, intent_number, index)
    select intent_producer_id, intent_number, index from fresh where kind = 3 and intent_producer_id is not null order by index
    on conflict do nothing returning index
  ), record as (
    insert into audit_record (index, at_ms, cost_nanos, input_tokens, output_tokens, status, outcome, kind, payload_omitted, repeated,
                              request_id, workspace, key_id, model, provider, header)
    select index, at_ms, cost, input, output, status, outcome, kind, omitted = 1,
           kind = 3 and intent_producer_id is not null and not exists (select from unknown u where u.index = fresh.index),
           nullif(texts[o * 5 - 4], '')::uuid, texts[o * 5 - 3], texts[o * 5 - 2], texts[o * 5 - 1], texts[o * 5],
           substring(p_blob from start + 32 for header)
    from fresh
  ), sealed as (
    insert into audit_payload (index, sealed)
    select index, substring(p_blob from start + 32 + header for payload) from fresh where payload > 0
  )
  select count(*) into fresh_count from fresh;

  insert into producer_progress as p (producer, accounted, close_number, last_number)
  select ids[g.o], g.accounted, g.close_number, g.last_number
  from unnest(p_accounted, p_close, p_last) with ordinality g(accounted, close_number, last_number, o)
  on conflict (producer) do update
    set accounted = p.accounted + excluded.accounted,
        close_number = coalesce(p.close_number, excluded.close_number),
        last_number = greatest(p.last_number, excluded.last_number)
    where not p.accounted @> excluded.accounted
       or (excluded.close_number is not null and p.close_number is null)
       or coalesce(excluded.last_number > coalesce(p.last_number, 0), false);

  return fresh_count;
end $$;

grant usage on schema audit to weir_audit;
grant select, insert on producer, audit_leaf, audit_record, audit_payload, unknown_outcome to weir_audit;
grant select, insert, update on producer_progress to weir_audit;
revoke execute on all functions in schema audit from public;
grant execute on function append to weir_audit;
