-- Evaluators as data, datasets, and runs of the ones over the others. Nothing of it is ever changed; only uploads that were not committed can
-- be deleted.

create table definition (
  name text not null,
  version int not null check (version > 0),
  -- Canonical JSON of the description and the definition.
  text text not null,
  digest bytea not null,
  at_ms bigint not null,
  primary key (name, version),
  unique (name, digest)
);

create table upload (
  id uuid primary key,
  name text not null,
  at_ms bigint not null
);

create table dataset (
  -- Of the content: the chain after its last record.
  digest bytea primary key check (length(digest) = 32),
  upload uuid not null unique references upload,
  records int not null check (records > 0),
  at_ms bigint not null
);

create table dataset_record (
  upload uuid not null references upload,
  ordinal int not null,
  id text not null,
  -- Canonical JSON.
  text text not null,
  chain bytea not null,
  primary key (upload, ordinal),
  unique (upload, id)
);

create table run (
  id uuid primary key,
  dataset bytea not null references dataset,
  -- [{"name", "version"}], in the order they judge.
  evaluators text not null,
  at_ms bigint not null
);

-- Exactly once per run, record and version: by this key, whoever tries how often.
create table run_result (
  run uuid not null,
  ordinal int not null,
  evaluator text collate "C" not null,
  version int not null,
  record_id text collate "C" not null,
  verdict smallint not null,
  score double precision not null check (score between 0 and 1),
  findings text[] not null,
  primary key (run, ordinal, evaluator, version)
);
create index on run_result (run, evaluator, record_id);

create table run_end (
  run uuid primary key references run,
  results_digest bytea not null,
  at_ms bigint not null
);

create function deny_committed() returns trigger language plpgsql as $$
declare of_upload uuid;
begin
  if tg_table_name = 'upload' then of_upload := old.id; else of_upload := old.upload; end if;
  if exists (select from evaluation.dataset where upload = of_upload) then
    raise exception '% on evaluation.% is denied: it belongs to a dataset', tg_op, tg_table_name using errcode = 'insufficient_privilege';
  end if;
  return old;
end $$;

do $$
declare name text;
begin
  foreach name in array array['definition', 'dataset', 'run', 'run_result', 'run_end'] loop
    execute format('create trigger deny_row before update or delete on %I for each row execute function deny()', name);
    execute format('create trigger deny_statement before update or delete or truncate on %I for each statement execute function deny()', name);
    execute format('alter table %I enable always trigger deny_row', name);
    execute format('alter table %I enable always trigger deny_statement', name);
  end loop;
  foreach name in array array['upload', 'dataset_record'] loop
    execute format('create trigger deny_committed before delete on %I for each row execute function deny_committed()', name);
    execute format('create trigger deny_statement before update or truncate on %I for each statement execute function deny()', name);
    execute format('alter table %I enable always trigger deny_committed', name);
    execute format('alter table %I enable always trigger deny_statement', name);
  end loop;
end $$;

grant select, insert on definition, upload, dataset, dataset_record, run, run_result, run_end to weir_evaluation;
grant delete on upload, dataset_record to weir_evaluation;
revoke execute on all functions in schema evaluation from public;
