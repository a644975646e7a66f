-- name: sums
-- Open entries by kind. Parameters: connection, entity (null: all), key (null: all; else the beginning of keys).
select
    connection,
    entity,
    operation,
    state,
    currency,
    count(*) as entries,
    coalesce(sum(amount), 0) as amount
from cdc.outbox
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
