-- name: by_account
-- The money effect of drift by account and month. Parameters: connection, entity, key (null: all; key: how keys begin).
select
    drift.connection,
    drift.entity,
    effect.period,
    effect.account,
    effect.side,
    effect.currency,
    sum(effect.amount) as amount,
    case when bool_and(effect.base is not null) then sum(effect.base) end as base,
    count(distinct drift.key) as documents
from cdc.drift
cross join lateral jsonb_to_recordset(drift.effects) as effect (
    period text,
    account text,
    side text,
    currency text,
    amount numeric,
    base numeric
)
where
    (%(connection)s::text is null or drift.connection = %(connection)s)
    and (%(entity)s::text is null or drift.entity = %(entity)s)
    and (%(key)s::text is null or starts_with(drift.key, %(key)s))
group by drift.connection, drift.entity, effect.period, effect.account, effect.side, effect.currency
order by drift.connection, drift.entity, effect.period, effect.side desc, effect.account, effect.currency;

-- name: by_reason
-- How many documents drift, why they are frozen, and how many of them would move no money. Parameters: as above.
select
    drift.connection,
    drift.entity,
    drift.model,
    drift.frozen_because,
    count(*) as documents,
    count(*) filter (where drift.effects = '[]'::jsonb) as without_money,
    min(drift.found_at) as since
from cdc.drift
where
    (%(connection)s::text is null or drift.connection = %(connection)s)
    and (%(entity)s::text is null or drift.entity = %(entity)s)
    and (%(key)s::text is null or starts_with(drift.key, %(key)s))
group by drift.connection, drift.entity, drift.model, drift.frozen_because
order by drift.connection, drift.entity, drift.model, drift.frozen_because;

-- name: documents
-- The first documents that drift, with what was agreed and what the model says now. Parameters: as above, and limit.
select
    drift.connection,
    drift.entity,
    drift.key,
    drift.frozen_because,
    drift.document_date,
    drift.fields,
    drift.desired,
    drift.effects,
    drift.found_at,
    links.said,
    links.target_id
from cdc.drift
inner join cdc.links
    on
        drift.connection = links.connection
        and drift.entity = links.entity
        and drift.key = links.key
where
    (%(connection)s::text is null or drift.connection = %(connection)s)
    and (%(entity)s::text is null or drift.entity = %(entity)s)
    and (%(key)s::text is null or starts_with(drift.key, %(key)s))
order by drift.document_date, drift.connection, drift.entity, drift.key
limit %(limit)s;

-- name: chosen
-- Drifting documents that a person decides on; null means any.
select
    connection,
    entity,
    key,
    model,
    payload_hash,
    frozen_because
from cdc.drift
where
    (%(keys)s::text[] is null or key = any(%(keys)s::text[]))
    and (%(connection)s::text is null or connection = %(connection)s)
    and (%(entity)s::text is null or entity = %(entity)s)
    and (%(model)s::text is null or model = %(model)s)
    and (%(cause)s::text is null or frozen_because = %(cause)s)
order by connection, entity, key;

-- name: take
-- The same, read again now that their keys are locked, and no drift any more.
delete from cdc.drift
using unnest(%(connections)s::text[], %(entities)s::text[], %(keys)s::text[]) as given (connection, entity, key)
where
    drift.connection = given.connection
    and drift.entity = given.entity
    and drift.key = given.key
returning drift.connection, drift.entity, drift.key, drift.model, drift.payload_hash, drift.frozen_because;
