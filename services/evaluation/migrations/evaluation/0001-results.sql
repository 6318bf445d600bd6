-- What evaluators found. Role weir_evaluation owns nothing and may insert and read, nothing else.

-- A version never changes: another behaviour is another version.
create table evaluator (
  name text not null,
  version int not null check (version > 0),
  description text not null,
  primary key (name, version)
);

create table evaluation_result (
  id bigint generated always as identity primary key,
  request_id uuid not null,
  workspace text not null,
  evaluator text not null,
  version int not null,
  verdict smallint not null,
  score double precision not null check (score between 0 and 1),
  findings text[] not null,
  at_ms bigint not null,
  unique (request_id, evaluator, version),
  foreign key (evaluator, version) references evaluator
);
create index on evaluation_result (workspace, id);
create index on evaluation_result (evaluator, id);

-- What could not be evaluated at all: bytes that are no record, or a record the database refuses.
create table dead_letter (
  id bigint generated always as identity primary key,
  producer text not null,
  -- The digest of the bytes, so that redelivery adds nothing; the bytes themselves are in the audit log.
  digest bytea not null,
  reason text not null,
  at_ms bigint not null,
  unique (producer, digest)
);

create function deny() returns trigger language plpgsql as $$
begin
  raise exception '% on evaluation.% is denied: results are append-only', tg_op, tg_table_name using errcode = 'insufficient_privilege';
end $$;

do $$
declare name text;
begin
  foreach name in array array['evaluator', 'evaluation_result', 'dead_letter'] loop
    execute format('create trigger deny_row before update or delete on %I for each row execute function deny()', name);
    execute format('create trigger deny_statement before update or delete or truncate on %I for each statement execute function deny()', name);
    execute format('alter table %I enable always trigger deny_row', name);
    execute format('alter table %I enable always trigger deny_statement', name);
  end loop;
end $$;

grant usage on schema evaluation to weir_evaluation;
grant select, insert on evaluator, evaluation_result, dead_letter to weir_evaluation;
revoke execute on all functions in schema evaluation from public;
