-- What recorded usage would cost by other prices. Append-only like the log that it stands beside; no leaf commits to it, since it can be
-- computed again from the log and the sheet.

create table repricing (
  id uuid primary key,
  at_ms bigint not null,
  version text not null,
  workspace text not null,
  from_ms bigint not null,
  to_ms bigint not null,
  records bigint not null,
  recorded_nanos bigint not null,
  repriced_nanos bigint not null,
  unpriced bigint not null,
  -- weir.audit.v1.PriceSheet and the Repricing with its groups.
  sheet bytea not null,
  result bytea not null
);
create index on repricing (at_ms desc);

-- Only what has a price by the sheet.
create table repriced (
  repricing uuid not null,
  index bigint not null,
  recorded_nanos bigint not null,
  repriced_nanos bigint not null,
  primary key (repricing, index)
);

do $$
declare name text;
begin
  foreach name in array array['repricing', 'repriced'] loop
    execute format('create trigger deny_row before update or delete on %I for each row execute function deny()', name);
    execute format('create trigger deny_statement before update or delete or truncate on %I for each statement execute function deny()', name);
    execute format('alter table %I enable always trigger deny_row', name);
    execute format('alter table %I enable always trigger deny_statement', name);
  end loop;
end $$;

grant select, insert on repricing, repriced to weir_audit;
