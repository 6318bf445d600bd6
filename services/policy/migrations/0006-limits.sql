-- Limits per provider, of input or output tokens, and of requests at a time; for one model or provider; with a queue.

alter table rate_limit drop constraint rate_limit_per_check, drop constraint rate_limit_unit_check, drop constraint rate_limit_window_ms_check;
alter table rate_limit
  -- Of a limit per model or provider: the one that it is for; '': each by itself.
  add column only_for text not null default '' check (length(only_for) <= 256 and (only_for = '' or per in ('model', 'provider'))),
  -- { maxWaitMs, maxLength, weights: { workspace: weight } }
  add column queue jsonb,
  add constraint rate_limit_per_check check (per in ('key', 'project', 'workspace', 'end-user', 'client-ip', 'model', 'provider')),
  add constraint rate_limit_unit_check check (unit in ('requests', 'tokens', 'input-tokens', 'output-tokens', 'concurrency')),
  -- What runs at a time has no window.
  add constraint rate_limit_window_ms_check check (case unit when 'concurrency' then window_ms = 0 else window_ms between 1000 and 86400000 end),
  drop constraint rate_limit_place_id_per_unit_window_ms_key,
  add constraint rate_limit_terms_key unique (place_id, per, unit, window_ms, only_for);
