-- What operators look for in the log, newest first. Errors and dear requests are few, so that these indexes cost little.
create index on audit_record (key_id, at_ms, index) where key_id <> '';
create index on audit_record (model, at_ms, index) where model <> '';
create index on audit_record (status, at_ms, index) where status >= 400;
create index on audit_record (at_ms, index) where cost_nanos >= 100000000;
