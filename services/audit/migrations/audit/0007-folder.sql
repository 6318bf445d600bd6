-- The data folder that the keys lie in which these tables speak of. Another one, or an empty one, looks as if all keys had been destroyed.
create table audit_keys.folder (
  one boolean primary key default true check (one),
  id uuid not null
);
grant select, insert on audit_keys.folder to weir_audit;
