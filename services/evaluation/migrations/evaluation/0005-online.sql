-- What is judged of the traffic as it comes, and what drift is looked for in.

-- The newest of a workspace counts.
create table sampling (
  id bigint generated always as identity primary key,
  workspace text not null,
  share double precision not null check (share between 0 and 1),
  -- [{"name", "version"}]
  evaluators text not null,
  embedding_model text not null,
  at_ms bigint not null
);
create index on sampling (workspace, id);

-- Requests that wait to be judged; taken out when they are.
create table sampled_request (
  request_id uuid primary key,
  workspace text not null,
  model text not null,
  at_ms bigint not null,
  due_ms bigint not null,
  attempts int not null default 0
);
create index on sampled_request (due_ms);

-- Sums of what results said, by hour: each row what one statement added. Lengths are in logarithms of tokens.
create table signal_sum (
  id bigint generated always as identity primary key,
  hour bigint not null,
  workspace text not null,
  model text not null,
  evaluator text not null,
  version int not null,
  scores int not null,
  score_sum double precision not null,
  score_squares double precision not null,
  answers int not null,
  refusals int not null,
  lengths int not null,
  length_sum double precision not null,
  length_squares double precision not null
);
create index on signal_sum (hour);

-- Sums of unit vectors.
create table embedding_sum (
  id bigint generated always as identity primary key,
  hour bigint not null,
  workspace text not null,
  model text not null,
  embedder text not null,
  vectors int not null,
  vector_sum double precision[] not null
);
create index on embedding_sum (hour);

do $$
declare name text;
begin
  foreach name in array array['sampling', 'signal_sum', 'embedding_sum'] loop
    execute format('create trigger deny_row before update or delete on %I for each row execute function deny()', name);
    execute format('create trigger deny_statement before update or delete or truncate on %I for each statement execute function deny()', name);
    execute format('alter table %I enable always trigger deny_row', name);
    execute format('alter table %I enable always trigger deny_statement', name);
  end loop;
end $$;

grant select, insert on sampling, signal_sum, embedding_sum, sampled_request to weir_evaluation;
grant update, delete on sampled_request to weir_evaluation;
revoke execute on all functions in schema evaluation from public;
