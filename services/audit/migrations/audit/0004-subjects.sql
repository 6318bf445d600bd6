-- Payloads can be erased: each has a key of its own, kept wrapped under its subject's key, which can be destroyed. The sealed bytes stay as they
-- came, so that leaves can be checked for ever.

-- subject, wrapped_key: both null where the payload's transport key opens it (of before this migration), or nothing does. wrapped_key alone
-- null: its subject was erased before it arrived.
alter table audit_payload add column subject uuid, add column wrapped_key bytea check (octet_length(wrapped_key) = 60);
create index on audit_payload (subject, index) where subject is not null;
-- By version and the id of the transport key.
create index on audit_payload ((substring(sealed from 1 for 9))) where subject is null;

-- The keys lie apart from what they open, to be left out of copies of it (pg_dump --exclude-table-data 'audit_keys.*').
create schema audit_keys;

-- Of the secrets over subjects' keys, which are files.
create table audit_keys.generation (
  number int primary key,
  made_at_ms bigint not null,
  destroyed_at_ms bigint
);

-- lookup: HMAC of the subject's digest, under the generation; wrapped: its key and its digest, under the generation. Two rows of one subject
-- do no harm.
create table audit_keys.subject (
  id uuid primary key,
  lookup bytea not null check (octet_length(lookup) = 32),
  wrapped bytea not null,
  generation int not null
) with (fillfactor = 80);
create index on audit_keys.subject (lookup);
create index on audit_keys.subject (generation);

create table audit_keys.transport_key (
  number int primary key,
  id bytea not null unique check (octet_length(id) = 8),
  made_at_ms bigint not null,
  destroyed_at_ms bigint
);

-- Who was told a transport key. moved_on: the number of the first record after which the producer seals to later keys only.
create table audit_keys.key_holder (
  producer text not null,
  transport_key int not null,
  moved_on bigint,
  abandoned boolean not null default false,
  primary key (producer, transport_key)
);

-- last_transport_key: the newest when it was asked for. last_generation: the newest when all those transport keys were destroyed.
create table audit_keys.erasure (
  id uuid primary key,
  at_ms bigint not null,
  workspace text not null,
  key_id text not null,
  subjects uuid[] not null,
  reason text not null,
  requested_by text not null,
  payloads bigint not null,
  index bigint not null,
  last_transport_key int not null,
  last_generation int,
  completed_index bigint,
  completed_at_ms bigint
);
create index on audit_keys.erasure (at_ms);

-- While something of an erased subject may still arrive: lookup and wrapped (its digest) as above.
create table audit_keys.tombstone (
  erasure uuid primary key,
  subject uuid not null,
  before_ms bigint not null,
  lookup bytea not null check (octet_length(lookup) = 32),
  wrapped bytea not null,
  generation int not null
);
create index on audit_keys.tombstone (lookup);

grant usage on schema audit_keys to weir_audit;
grant select, insert, update on audit_keys.generation, audit_keys.transport_key, audit_keys.erasure to weir_audit;
grant select, insert, update, delete on audit_keys.subject, audit_keys.tombstone, audit_keys.key_holder to weir_audit;

-- As before, and keeps what opens payloads.
--   p_keyed: places of records, from 1, whose payload has a subject; p_subject: of each; p_wrapped: of each 60 bytes, zeros where its subject is
--   erased already.
-- Fails with WE001 where a subject was erased meanwhile; until this transaction ends, none of them is.
create function append(
  p_producers text[], p_accounted int8multirange[], p_close bigint[], p_last bigint[],
  p_producer int[], p_number bigint[], p_intent_producer int[], p_intent_number bigint[], p_kind smallint[],
  p_at_ms bigint[], p_outcome smallint[], p_status bigint[], p_input bigint[], p_output bigint[], p_cost bigint[],
  p_start int[], p_header int[], p_payload int[], p_omitted int[], p_texts text, p_blob bytea,
  p_keyed int[], p_subject uuid[], p_wrapped bytea
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
  none constant bytea := decode(repeat('00', 60), 'hex');
  living uuid[];
begin
  if cardinality(p_keyed) > 0 then
    living := array(select distinct s from unnest(p_subject) with ordinality k(s, o)
                    where substring(p_wrapped from (o::int - 1) * 60 + 1 for 60) <> none);
    perform from audit_keys.subject where id = any(living) order by id for key share;
    if (select count(*) from audit_keys.subject where id = any(living)) < cardinality(living) then
      raise exception 'a subject was erased' using errcode = 'WE001';
    end if;
  end if;

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
                              request_id, workspace, key_id, model, provider, header, payload_digest)
    select index, at_ms, cost, input, output, status, outcome, kind, omitted = 1,
           kind = 3 and intent_producer_id is not null and not exists (select from unknown u where u.index = fresh.index),
           nullif(texts[o * 5 - 4], '')::uuid, texts[o * 5 - 3], texts[o * 5 - 2], texts[o * 5 - 1], texts[o * 5],
           substring(p_blob from start + 32 for header),
           case when payload > 0 then sha256(substring(p_blob from start + 32 + header for payload)) end
    from fresh
  ), sealed as (
    insert into audit_payload (index, sealed, subject, wrapped_key)
    select f.index, substring(p_blob from f.start + 32 + f.header for f.payload), p_subject[k.place],
           nullif(substring(p_wrapped from (k.place - 1) * 60 + 1 for 60), none)
    from fresh f left join lateral (select array_position(p_keyed, f.o::int) as place) k on true
    where f.payload > 0
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

-- For writers of an older release, which know no subjects.
create or replace function append(
  p_producers text[], p_accounted int8multirange[], p_close bigint[], p_last bigint[],
  p_producer int[], p_number bigint[], p_intent_producer int[], p_intent_number bigint[], p_kind smallint[],
  p_at_ms bigint[], p_outcome smallint[], p_status bigint[], p_input bigint[], p_output bigint[], p_cost bigint[],
  p_start int[], p_header int[], p_payload int[], p_omitted int[], p_texts text, p_blob bytea
) returns int language sql
  set search_path = audit, pg_temp
as $$
  select append(p_producers, p_accounted, p_close, p_last, p_producer, p_number, p_intent_producer, p_intent_number, p_kind, p_at_ms,
                p_outcome, p_status, p_input, p_output, p_cost, p_start, p_header, p_payload, p_omitted, p_texts, p_blob,
                '{}', '{}', '')
$$;

revoke execute on all functions in schema audit from public;
grant execute on function append(text[], int8multirange[], bigint[], bigint[], int[], bigint[], int[], bigint[], smallint[], bigint[], smallint[],
  bigint[], bigint[], bigint[], bigint[], int[], int[], int[], int[], text, bytea, int[], uuid[], bytea) to weir_audit;
