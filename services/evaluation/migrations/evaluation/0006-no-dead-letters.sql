-- Dead letters lie in a store of their own, with their records: see packages/events. Here were digests only, which nobody could retry.
drop table dead_letter;
