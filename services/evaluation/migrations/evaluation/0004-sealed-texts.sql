-- Texts lie sealed, and can be destroyed; datasets can be of recorded traffic, which is named and never copied; runs can be replays.

-- 1: uploaded; 2: of recorded traffic.
alter table upload add column source smallint not null default 1 check (source in (1, 2));

-- The key of an upload's texts, sealed by the service's own. Without it they are gone.
create table dataset_key (
  upload uuid primary key references upload on delete cascade,
  sealed bytea not null
);

create table dataset_erasure (
  dataset bytea primary key references dataset,
  at_ms bigint not null
);

-- `text` holds what is no text: of recorded traffic the id and the leaf's hash (and what was uploaded before texts were sealed).
alter table dataset_record alter column text drop not null;
alter table dataset_record add column sealed bytea;
alter table dataset_record add constraint one_text check ((text is null) <> (sealed is null));

-- A replay's model; or the replay whose answers are judged once more.
alter table run add column candidate text;
alter table run add column answers_of uuid references run;
alter table run add constraint one_source check (candidate is null or answers_of is null);

-- What a replay's model answered, once per run and record: sealed under the dataset's key, or why there is none.
create table run_answer (
  run uuid not null references run,
  ordinal int not null,
  sealed bytea,
  failure text,
  -- The call's id in the audit log.
  request text not null,
  primary key (run, ordinal),
  constraint answer_or_failure check ((sealed is null) <> (failure is null))
);

-- Of the answer and of what it was judged beside, in characters; and what a person said of it.
alter table run_result add column length int;
alter table run_result add column baseline_length int;
alter table run_result add column label smallint;

-- What a judge (a model, an embedding, a webhook) said of a content: asked once. Content is told by a keyed hash.
create table judgment (
  evaluator text not null,
  version int not null,
  content bytea not null check (length(content) = 32),
  -- Null: it gave no score, for `findings`.
  score double precision check (score between 0 and 1),
  passed boolean,
  findings text[] not null,
  -- The calls' ids in the audit log.
  requests text[] not null,
  at_ms bigint not null,
  primary key (evaluator, version, content),
  constraint verdict_with_score check ((score is null) = (passed is null))
);

create or replace function deny_committed() returns trigger language plpgsql as $$
declare of_upload uuid;
begin
  if tg_table_name = 'upload' then of_upload := old.id; else of_upload := old.upload; end if;
  if exists (
    select from evaluation.dataset d where d.upload = of_upload
      and (tg_table_name = 'upload' or not exists (select from evaluation.dataset_erasure e where e.dataset = d.digest))
  ) then
    raise exception '% on evaluation.% is denied: it belongs to a dataset', tg_op, tg_table_name using errcode = 'insufficient_privilege';
  end if;
  return old;
end $$;

do $$
declare name text;
begin
  foreach name in array array['dataset_erasure', 'judgment'] loop
    execute format('create trigger deny_row before update or delete on %I for each row execute function deny()', name);
    execute format('create trigger deny_statement before update or delete or truncate on %I for each statement execute function deny()', name);
    execute format('alter table %I enable always trigger deny_row', name);
    execute format('alter table %I enable always trigger deny_statement', name);
  end loop;
  -- Texts may go, and never change.
  foreach name in array array['dataset_key', 'run_answer'] loop
    execute format('create trigger deny_row before update on %I for each row execute function deny()', name);
    execute format('create trigger deny_statement before update or truncate on %I for each statement execute function deny()', name);
    execute format('alter table %I enable always trigger deny_row', name);
    execute format('alter table %I enable always trigger deny_statement', name);
  end loop;
end $$;

grant select, insert on dataset_key, dataset_erasure, run_answer, judgment to weir_evaluation;
grant delete on dataset_key, run_answer to weir_evaluation;
revoke execute on all functions in schema evaluation from public;
