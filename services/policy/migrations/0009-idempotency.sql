-- Requests that carry an Idempotency-Key. Names and fingerprints are hashes, answers are ciphertext whose key only ingresses have.
create table idempotent_request (
  -- No reference: what short-lived keys asked ends by itself, before or after them.
  key_id uuid not null,
  name bytea not null check (length(name) = 32),
  fingerprint bytea not null check (length(fingerprint) = 32),
  -- Who runs it, or answered it: a late word of one that lost its lease changes nothing.
  request_id uuid not null,
  -- Of one that runs; after it another may take the name.
  lease_until timestamptz not null,
  finished boolean not null default false,
  -- Of a finished one; null: too large to be kept.
  answer bytea,
  answer_bytes int not null generated always as (coalesce(length(answer), 0)) stored,
  expires_at timestamptz not null,
  primary key (key_id, name)
);
-- Ciphertext does not get smaller.
alter table idempotent_request alter column answer set storage external;
create index idempotent_request_expiry on idempotent_request (expires_at);
-- What a key keeps is summed up from here alone.
create index idempotent_request_size on idempotent_request (key_id) include (answer_bytes) where answer_bytes > 0;

grant select, insert, update, delete on idempotent_request to weir_policy;
