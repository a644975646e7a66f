-- name: dead
-- Dead letters by cause: what needs a person because something is wrong.
with dead as (
    select
        outbox.connection,
        outbox.entity,
        coalesce(outbox.cause, outbox.held_for, outbox.state) as cause,
        outbox.key,
        outbox.amount,
        outbox.currency,
        outbox.who,
        outbox.reason,
        outbox.cure,
        outbox.changed_at as since
    from cdc.outbox
    where
        outbox.state = 'rejected'
        or outbox.held_for in ('problems', 'conflict', 'answer differs', 'vanished', 'target changed')
    union all
    select
        bad_records.connection,
        bad_records.stream,
        'unreadable record',
        bad_records.id,
        null,
        null,
        'vendor',
        bad_records.reason,
        bad_records.cure,
        bad_records.first_seen_at
    from cdc.bad_records
),

money as (
    select
        connection,
        entity,
        cause,
        currency,
        sum(amount) as amount
    from dead
    where
        currency is not null
        and amount is not null
    group by connection, entity, cause, currency
)

select
    dead.connection,
    dead.entity,
    dead.cause,
    count(*) as count,
    coalesce(
        (
            select jsonb_object_agg(money.currency, money.amount)
            from money
            where
                money.connection = dead.connection
                and money.entity = dead.entity
                and money.cause = dead.cause
        ),
        '{}'::jsonb
    ) as money,
    min(dead.since) as oldest,
    (array_agg(dead.who order by dead.since, dead.key))[1] as who,
    (array_agg(dead.key order by dead.since, dead.key))[1] as example,
    (array_agg(dead.reason order by dead.since, dead.key))[1] as reason,
    (array_agg(dead.cure order by dead.since, dead.key))[1] as cure,
    (array_agg(dead.key order by dead.since, dead.key))[:%(keys)s] as keys
from dead
where
    (%(connection)s::text is null or dead.connection = %(connection)s)
    and (%(cause)s::text is null or dead.cause = %(cause)s)
group by dead.connection, dead.entity, dead.cause
order by count(*) desc, dead.cause, dead.connection, dead.entity;

-- name: dead_total
-- How many dead letters there are.
select
    (
        select count(*)
        from cdc.outbox
        where
            state = 'rejected'
            or held_for in ('problems', 'conflict', 'answer differs', 'vanished', 'target changed')
    ) + (select count(*) from cdc.bad_records) as count;

-- name: tell
-- Dead letters that no run has reported yet; from now on they are told. One that comes back with the same cause and the
-- same payload, after a retry, is not new.
with told as (
    update cdc.outbox
    set told_at = now()
    where
        told_at is null
        and (
            state = 'rejected'
            or held_for in ('problems', 'conflict', 'answer differs', 'vanished', 'target changed')
        )
    returning connection, entity, key, concat_ws(' ', coalesce(held_for, state), cause, payload_hash) as letter
),

fresh as (
    update cdc.links
    set told_as = told.letter
    from told
    where
        links.connection = told.connection
        and links.entity = told.entity
        and links.key = told.key
        and links.told_as is distinct from told.letter
    returning links.key
)

select count(*) as count
from fresh;

-- name: bad_since
-- Records that newly could not be stored.
select count(*) as count
from cdc.bad_records
where
    first_seen_at >= coalesce(
        (
            select max(runs.started_at)
            from cdc.runs
            where runs.run = %(run)s::uuid
        ),
        'infinity'::timestamptz
    );

-- name: holds
-- What waits for a person's yes, by why.
with held as (
    select *
    from cdc.outbox
    where
        state = 'held'
        and held_for in ('guard', 'hold', 'moved', 'lock date', 'frozen')
        and (%(connection)s::text is null or connection = %(connection)s)
),

money as (
    select
        connection,
        model,
        held_for,
        operation,
        cause,
        currency,
        sum(amount) as amount
    from held
    where
        currency is not null
        and amount is not null
    group by connection, model, held_for, operation, cause, currency
)

select
    held.connection,
    held.entity,
    held.model,
    held.held_for,
    held.operation,
    held.cause,
    count(*) as count,
    coalesce(
        (
            select jsonb_object_agg(money.currency, money.amount)
            from money
            where
                money.connection = held.connection
                and money.model = held.model
                and money.held_for = held.held_for
                and money.operation = held.operation
                and money.cause is not distinct from held.cause
        ),
        '{}'::jsonb
    ) as money,
    min(held.created_at) as oldest,
    (array_agg(held.who order by held.entry))[1] as who,
    (array_agg(held.key order by held.entry))[1] as example,
    (array_agg(held.reason order by held.entry))[1] as reason,
    (array_agg(held.cure order by held.entry))[1] as cure,
    (array_agg(held.key order by held.entry))[:%(keys)s] as keys
from held
group by held.connection, held.entity, held.model, held.held_for, held.operation, held.cause
order by held.connection, held.model, held.held_for, held.operation;

-- name: connections
-- How each connection stands, with its open entries by state.
select
    connections.connection,
    connections.system,
    connections.target_name,
    connections.is_demo,
    connections.stopped_at,
    connections.stopped_reason,
    connections.paused_at,
    connections.paused_by,
    coalesce(open.states, '{}'::jsonb) as states,
    open.oldest_waiting,
    open.oldest_in_doubt,
    loaded.loaded_from,
    loaded.streams,
    loaded.never_loaded
from cdc.connections
left join lateral (
    select
        jsonb_object_agg(counted.state, counted.entries) as states,
        min(counted.oldest) filter (where counted.state = 'waiting') as oldest_waiting,
        min(counted.oldest) filter (where counted.state in ('sending', 'in_doubt')) as oldest_in_doubt
    from (
        select
            outbox.state,
            count(*) as entries,
            min(outbox.created_at) as oldest
        from cdc.outbox
        where outbox.connection = connections.connection
        group by outbox.state
    ) as counted
) as open on true
left join lateral (
    select
        min(cursors.loaded_from) as loaded_from,
        count(*) as streams,
        count(*) filter (where cursors.backfilled_at is null) as never_loaded
    from cdc.cursors
    where cursors.connection = connections.connection
) as loaded on true
order by connections.connection;

-- name: work
-- What the next commands have to do.
select
    (select count(*) from cdc.changes) as changes,
    (select count(*) from cdc.changed_keys) as changed_keys,
    (select count(*) from cdc.models where sweep_due) as sweeps_due,
    (select count(*) from cdc.models where is_new and kind = 'outbound') as new_models,
    (select count(*) from cdc.drift) as drift,
    (select count(*) from cdc.bad_records) as bad_records,
    (select count(*) from cdc.ask_again) as ask_again;

-- name: waiting
-- What waits for which head of a chain, since when, with how much money. What itself waits is no head: its own head is.
-- An order's invoice and its payment are the same money: of a source record, the entity with most of it counts.
with recursive chains as (
    select
        outbox.entry,
        outbox.connection,
        outbox.created_at,
        outbox.entity,
        outbox.source_connection,
        outbox.source_id,
        outbox.amount,
        outbox.currency,
        outbox.waits_for
    from cdc.outbox
    where outbox.state = 'waiting'
    union
    select
        chains.entry,
        head.connection,
        chains.created_at,
        chains.entity,
        chains.source_connection,
        chains.source_id,
        chains.amount,
        chains.currency,
        head.waits_for
    from chains
    cross join lateral jsonb_to_recordset(chains.waits_for) as needed (connection text, entity text, key text)
    inner join cdc.outbox as head
        on
            head.connection = coalesce(needed.connection, chains.connection)
            and head.entity = needed.entity
            and head.key = needed.key
            and head.state = 'waiting'
),

heads as (
    -- An entry that meets the same head by two ways waits for it once.
    select distinct
        coalesce(needed.connection, chains.connection) as connection,
        needed.entity,
        needed.key,
        coalesce(head.held_for, head.state, 'not in the outbox') as head_state,
        head.reason,
        chains.entry,
        chains.created_at,
        chains.entity as waiting_entity,
        chains.source_connection,
        chains.source_id,
        chains.amount,
        chains.currency
    from chains
    cross join lateral jsonb_to_recordset(chains.waits_for) as needed (
        connection text, entity text, key text, settled boolean, gone boolean
    )
    left join cdc.outbox as head
        on
            head.connection = coalesce(needed.connection, chains.connection)
            and head.entity = needed.entity
            and head.key = needed.key
    left join cdc.links
        on
            links.connection = coalesce(needed.connection, chains.connection)
            and links.entity = needed.entity
            and links.key = needed.key
    where
        head.state is distinct from 'waiting'
        and case
            when needed.gone then links.target_id is not null and not links.is_gone and head.entry is not null
            else
                links.target_id is null
                or links.is_gone
                or head.held_for = 'answer differs'
                or (coalesce(needed.settled, false) and head.entry is not null)
        end
),

of_entities as (
    select
        heads.connection,
        heads.entity,
        heads.key,
        heads.head_state,
        heads.reason,
        heads.source_connection,
        heads.source_id,
        count(*) as entries,
        min(heads.created_at) as since,
        sum(heads.amount) as amount,
        min(heads.currency) as currency
    from heads
    group by
        heads.connection, heads.entity, heads.key, heads.head_state, heads.reason,
        heads.source_connection, heads.source_id, heads.waiting_entity
),

of_sources as (
    select
        of_entities.connection,
        of_entities.entity,
        of_entities.key,
        of_entities.head_state,
        of_entities.reason,
        sum(of_entities.entries) as entries,
        min(of_entities.since) as since,
        max(of_entities.amount) as amount,
        min(of_entities.currency) as currency
    from of_entities
    group by
        of_entities.connection, of_entities.entity, of_entities.key, of_entities.head_state, of_entities.reason,
        of_entities.source_connection, of_entities.source_id
)

select
    of_sources.connection,
    of_sources.entity,
    of_sources.key,
    of_sources.head_state,
    of_sources.reason,
    sum(of_sources.entries)::bigint as entries,
    min(of_sources.since) as since,
    sum(of_sources.amount) as amount,
    min(of_sources.currency) as currency
from of_sources
group by
    of_sources.connection, of_sources.entity, of_sources.key, of_sources.head_state, of_sources.reason
order by entries desc, of_sources.entity, of_sources.key
limit %(limit)s;

-- name: keys_like
-- Keys that a text names: a key, the start or end of one, a target's id, or the number in a payload.
select distinct
    links.connection,
    links.entity,
    links.key,
    links.model
from cdc.links
where
    links.key = %(text)s
    or links.target_id = %(text)s
    or links.key like %(pattern)s
order by links.connection, links.entity, links.key
limit %(limit)s;

-- name: record
-- Everything kept about one key.
select
    links.*,
    (
        select to_jsonb(outbox.*)
        from cdc.outbox
        where
            outbox.connection = links.connection
            and outbox.entity = links.entity
            and outbox.key = links.key
    ) as open,
    (
        select coalesce(jsonb_agg(to_jsonb(done.*) order by done.entry desc), '[]'::jsonb)
        from (
            select *
            from cdc.outbox_done
            where
                outbox_done.connection = links.connection
                and outbox_done.entity = links.entity
                and outbox_done.key = links.key
            order by outbox_done.entry desc
            limit 20
        ) as done
    ) as done,
    (
        select coalesce(jsonb_agg(to_jsonb(sent.*) order by sent.number desc), '[]'::jsonb)
        from (
            select
                calls.call,
                calls.number,
                calls.operation,
                calls.method,
                calls.path,
                calls.sent_at,
                calls.status,
                calls.outcome,
                calls.answer,
                calls.asked,
                calls.run
            from cdc.calls
            where
                calls.keys @> array[links.key]
                and calls.connection = links.connection
                and calls.entity = links.entity
            order by calls.number desc
            limit 20
        ) as sent
    ) as calls,
    (
        select coalesce(jsonb_agg(to_jsonb(decisions.*) order by decisions.decision desc), '[]'::jsonb)
        from cdc.decisions
        where
            decisions.connection = links.connection
            and decisions.entity = links.entity
            and decisions.key = links.key
    ) as decisions,
    (
        select to_jsonb(drift.*)
        from cdc.drift
        where
            drift.connection = links.connection
            and drift.entity = links.entity
            and drift.key = links.key
    ) as drift
from cdc.links
where
    links.connection = %(connection)s
    and links.entity = %(entity)s
    and links.key = %(key)s;

-- name: staging_row
-- A record of a staging table.
select
    connection,
    id,
    payload,
    version,
    modified_at,
    loaded_at,
    deleted_at
from {table}
where
    connection = %(connection)s
    and id = %(id)s;

-- name: history
-- The last changes of a record, who told us.
select
    version,
    told_by,
    before,
    after,
    changed_at
from cdc.history
where
    connection = %(connection)s
    and stream = %(stream)s
    and id = %(id)s
order by version desc
limit 20;

-- name: outbound_rows
-- Rows of an outbound view for one driving record.
select to_jsonb(outbound.*) as content
from {view} as outbound
where
    outbound._source_connection = %(source_connection)s
    and outbound._source_id = %(source_id)s
order by outbound._key;

-- name: drivers_by_number
-- Records of a staging table that a text names, by id or by any key column. {columns}: them all, as text.
select
    connection,
    id
from {table} as record
where
    record.id = %(text)s
    or %(text)s = any(array[{columns}]::text[])
order by connection, id
limit %(limit)s;

-- name: made
-- Records that targets have of us, by entity. A comment in Magento has no id that its answer would tell.
select
    entity,
    count(*) as count
from cdc.links
where
    (target_id is not null or said is not null)
    and not is_gone
group by entity
order by entity;
