-- The service registers its evaluators before it takes anything, and neither is ever deleted: looking each result's evaluator up again was
-- half the cost of storing it.
alter table evaluation_result drop constraint evaluation_result_evaluator_version_fkey;
