-- name: sums
-- Open entries by kind; a proposed correction counts as the documents that it would make.
-- Parameters: connection, entity (null: all), key (null: all; else the beginning of keys).
with planned as (
    select
        outbox.connection,
        outbox.entity,
        outbox.key,
        case when outbox.control -> 'correction' ? 'document' then 'create' else outbox.operation end as operation,
        outbox.state,
        outbox.currency,
        outbox.amount
    from cdc.outbox
    union all
    select
        outbox.connection,
        part.entity,
        part.key,
        'create',
        outbox.state,
        outbox.currency,
        part.total
    from cdc.outbox
    cross join lateral jsonb_to_recordset(outbox.control -> 'correction' -> 'parts') as part (
        entity text,
        key text,
        total numeric
    )
    where outbox.control ? 'correction'
)

select
    connection,
    entity,
    operation,
    state,
    currency,
    count(*) as entries,
    coalesce(sum(amount), 0) as amount
from planned
where
    (%(connection)s::text is null or connection = %(connection)s)
    and (%(entity)s::text is null or entity = %(entity)s)
    and (%(key)s::text is null or starts_with(key, %(key)s))
group by connection, entity, operation, state, currency
order by connection, entity, operation, state, currency;

-- name: entries
-- The first open entries, oldest first, with what was last agreed. Parameters: as above, and limit.
select
    entries.connection,
    entries.entity,
    entries.key,
    entries.operation,
    entries.state,
    entries.reason,
    entries.amount,
    entries.currency,
    entries.fields,
    entries.payload,
    entries.control -> 'correction' as correction,
    links.said
from cdc.outbox as entries
left join cdc.links as links
    on
        entries.connection = links.connection
        and entries.entity = links.entity
        and entries.key = links.key
where
    (%(connection)s::text is null or entries.connection = %(connection)s)
    and (%(entity)s::text is null or entries.entity = %(entity)s)
    and (%(key)s::text is null or starts_with(entries.key, %(key)s))
order by entries.entry
limit %(limit)s;
