-- What makes the log provable: signed tree heads over its leaves, the subtrees that proofs are made of, and what a leaf commits to
-- beside its header.

-- SHA-256 of the sealed payload; null: there was none. It stays when the payload goes, so that the leaf can be checked all the same.
alter table audit_record add column payload_digest bytea check (octet_length(payload_digest) = 32);
alter table audit_record disable trigger deny_row;
alter table audit_record disable trigger deny_statement;
update audit_record r set payload_digest = sha256(s.sealed) from audit_payload s where s.index = r.index;
alter table audit_record enable always trigger deny_row;
alter table audit_record enable always trigger deny_statement;

-- Which log this is: its id is in every head. One row.
create table log (
  one boolean primary key default true check (one),
  id uuid not null default gen_random_uuid()
);
insert into log default values;

-- Full subtrees: node `index` of `level` covers the leaves index * 2^level to (index + 1) * 2^level. Every eighth level is kept: what lies
-- between is at most 255 hashes away, and the table has one row for 255 leaves.
create table tree_node (
  level smallint not null check (level > 0 and level % 8 = 0),
  index bigint not null,
  hash bytea not null check (octet_length(hash) = 32),
  primary key (level, index)
);

-- Public halves of the keys that sign heads, each endorsed by the one before it.
create table signing_key (
  number int generated always as identity primary key,
  id bytea not null unique check (octet_length(id) = 8),
  public_key bytea not null check (octet_length(public_key) = 32),
  -- Null: the log's first.
  endorsement bytea,
  created_at timestamptz not null default now()
);
create unique index one_first_key on signing_key ((endorsement is null)) where endorsement is null;

-- Canonical bytes and signature, as they are published; size repeats what the bytes say.
create table tree_head (
  size bigint primary key,
  head bytea not null,
  key_id bytea not null,
  signature bytea not null check (octet_length(signature) = 64)
);

-- Which heads have reached which second place.
create table head_publication (
  place text not null,
  size bigint not null,
  at timestamptz not null default now(),
  primary key (place, size)
);

do $$
declare name text;
begin
  foreach name in array array['log', 'tree_node', 'signing_key', 'tree_head', 'head_publication'] loop
    execute format('create trigger deny_row before update or delete on %I for each row execute function deny()', name);
    execute format('create trigger deny_statement before update or delete or truncate on %I for each statement execute function deny()', name);
    execute format('alter table %I enable always trigger deny_row', name);
    execute format('alter table %I enable always trigger deny_statement', name);
  end loop;
end $$;

-- As before, and keeps the payload's digest.
create or replace function append(
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
                              request_id, workspace, key_id, model, provider, header, payload_digest)
    select index, at_ms, cost, input, output, status, outcome, kind, omitted = 1,
           kind = 3 and intent_producer_id is not null and not exists (select from unknown u where u.index = fresh.index),
           nullif(texts[o * 5 - 4], '')::uuid, texts[o * 5 - 3], texts[o * 5 - 2], texts[o * 5 - 1], texts[o * 5],
           substring(p_blob from start + 32 for header),
           case when payload > 0 then sha256(substring(p_blob from start + 32 + header for payload)) end
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

grant select on log to weir_audit;
grant select, insert on tree_node, signing_key, tree_head, head_publication to weir_audit;
