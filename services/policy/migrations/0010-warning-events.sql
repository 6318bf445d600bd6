-- Warnings are told to whoever listens on the event stream, too, apart from webhooks.

alter table warning add column announced boolean not null default false;
-- What was before there were events is history.
update warning set announced = true;
create index warning_unannounced on warning (id) where not announced;
grant update (announced) on warning to weir_policy;
