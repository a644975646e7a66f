-- Statements of the profiles.

-- name: generic_plans
-- As sessions have them that live long: planned once, for any value.
set plan_cache_mode = force_generic_plan;

-- name: orders
-- Orders to ask for. Parameters: most.
select id
from staging.magento__orders
order by id
limit %(most)s;

-- name: explain
-- What the nodes of a statement do.
explain (analyze, timing, costs off, format json) {statement};

-- name: position
-- Where the log of the server ends.
select pg_current_wal_lsn() as lsn;

-- name: files
-- Which table or index a file of this database belongs to; what is kept apart of long values counts to its table.
select
    pg_relation_filenode(relations.oid) as file,
    case
        when tables.oid is not null then 'long values of ' || tables.oid::regclass
        else relations.oid::regclass::text
    end as relation
from pg_class as relations
left join pg_index as indexes on relations.oid = indexes.indexrelid
left join pg_class as tables on tables.reltoastrelid = coalesce(indexes.indrelid, relations.oid)
where pg_relation_filenode(relations.oid) is not null;
