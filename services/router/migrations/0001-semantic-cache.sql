-- Answers by what was asked. Nothing here can be read: scope and space are keyed digests, sealed is ciphertext, and a vector is in coordinates that
-- only the router's secret gives. All of it may be lost at any time.
create table semantic_answer (
  id bigint generated always as identity primary key,
  -- A workspace's questions to a model: what the size is bounded by.
  scope bytea not null,
  -- Only questions of one space are compared.
  space bytea not null,
  -- Floats of 32 bits, the lowest byte first, of length one together. Null where it is in the column that pgvector has.
  vector bytea,
  sealed bytea not null,
  made_ms bigint not null,
  until_ms bigint not null
);
create index on semantic_answer (space, id);
create index on semantic_answer (scope, id);
create index on semantic_answer (until_ms);

grant usage on schema router to weir_router;
grant select, insert, delete on semantic_answer to weir_router;
