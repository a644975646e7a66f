-- Lookups: are their values known to the target, and which are missing.

-- name: values
-- The distinct values of one column of a lookup.
select distinct lookup.{column} as value
from {lookup} as lookup
where coalesce(lookup.{column}, '') <> ''
order by 1;

-- name: known_by_column
-- What the mirrored target has in a key column of a staging table.
select distinct record.{column} as value
from {table} as record
where
    record.deleted_at is null
    and record.{column} is not null;

-- name: known_by_path
-- What the mirrored target has at a path of the payload. Parameters: path (jsonpath).
select distinct found.value #>> '{{}}' as value
from {table} as record
cross join lateral jsonb_path_query(record.payload, %(path)s::jsonpath) as found (value)
where
    record.deleted_at is null
    and found.value #>> '{{}}' is not null;

-- name: missing
-- Open entries that a missing lookup row holds, by the row that is missing: how many documents and how much money wait.
with problems as (
    select
        outbox.entry,
        outbox.key,
        outbox.amount,
        outbox.currency,
        problem.value ->> 'cause' as cause,
        problem.value ->> 'field' as field,
        problem.value ->> 'value' as value,
        problem.value ->> 'reason' as reason,
        problem.value ->> 'cure' as cure,
        problem.value ->> 'who' as who
    from cdc.outbox as outbox
    cross join lateral jsonb_array_elements(
        case when jsonb_typeof(outbox.control -> '_problems') = 'array' then outbox.control -> '_problems' else '[]'::jsonb end
    ) as problem (value)
    where
        starts_with(problem.value ->> 'cause', 'lookup ')
        and outbox.state in ('held', 'rejected')
),

-- An entry whose lines all lack the same row counts once.
entries as (
    select distinct on (problems.cause, problems.cure, problems.entry) problems.*
    from problems
    order by problems.cause, problems.cure, problems.entry
)

select
    entries.cause,
    min(entries.field) as field,
    min(entries.value) as value,
    min(entries.reason) as reason,
    entries.cure,
    min(entries.who) as who,
    entries.currency,
    count(*) as documents,
    coalesce(sum(entries.amount), 0) as amount,
    min(entries.key) as example
from entries
group by entries.cause, entries.cure, entries.currency
order by coalesce(sum(entries.amount), 0) desc, entries.cause, entries.cure;
