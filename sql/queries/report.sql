-- name: dead
-- Dead letters by cause: what needs a person because something is wrong, with the money that stands still because of it.
with dead as (
    select
        needs_person.entry,
        needs_person.connection,
        needs_person.entity,
        needs_person.cause,
        needs_person.key,
        needs_person.who,
        needs_person.reason,
        needs_person.cure,
        needs_person.since
    from cdc.needs_person
    where needs_person.is_dead
    union all
    select
        null,
        bad_records.connection,
        bad_records.stream,
        'unreadable record',
        bad_records.id,
        'vendor',
        bad_records.reason,
        bad_records.cure,
        bad_records.first_seen_at
    from cdc.bad_records
),

chosen as (
    select *
    from dead
    where
        (%(connection)s::text is null or connection = %(connection)s)
        and (%(cause)s::text is null or cause = %(cause)s)
),

-- What waits for two letters of one cause is one amount.
of_entries as (
    select distinct
        chosen.connection,
        chosen.entity,
        chosen.cause,
        stuck.entry,
        stuck.entity as stuck_entity,
        stuck.source_connection,
        stuck.source_id,
        stuck.amount,
        stuck.currency
    from chosen
    inner join cdc.stuck_money as stuck
        on chosen.entry = stuck.head
    where
        stuck.currency is not null
        and stuck.amount is not null
),

of_entities as (
    select
        connection,
        entity,
        cause,
        source_connection,
        source_id,
        currency,
        sum(amount) as amount
    from of_entries
    group by connection, entity, cause, stuck_entity, source_connection, source_id, currency
),

of_sources as (
    select
        connection,
        entity,
        cause,
        currency,
        max(amount) as amount
    from of_entities
    group by connection, entity, cause, source_connection, source_id, currency
),

of_currencies as (
    select
        connection,
        entity,
        cause,
        currency,
        sum(amount) as amount
    from of_sources
    group by connection, entity, cause, currency
),

money as (
    select
        connection,
        entity,
        cause,
        jsonb_object_agg(currency, amount) as money
    from of_currencies
    group by connection, entity, cause
)

select
    chosen.connection,
    chosen.entity,
    chosen.cause,
    count(*) as count,
    coalesce(min(money.money::text)::jsonb, '{}'::jsonb) as money,
    min(chosen.since) as oldest,
    (array_agg(chosen.who order by chosen.since, chosen.key))[1] as who,
    (array_agg(chosen.key order by chosen.since, chosen.key))[1] as example,
    (array_agg(chosen.reason order by chosen.since, chosen.key))[1] as reason,
    (array_agg(chosen.cure order by chosen.since, chosen.key))[1] as cure,
    (array_agg(chosen.key order by chosen.since, chosen.key))[:%(keys)s] as keys
from chosen
left join money
    on
        chosen.connection = money.connection
        and chosen.entity = money.entity
        and chosen.cause = money.cause
group by chosen.connection, chosen.entity, chosen.cause
order by count(*) desc, chosen.cause, chosen.connection, chosen.entity;

-- name: by_person
-- What waits for whom: entries by who can fix or approve them, and the money that stands still because of them, once.
with of_entries as (
    select distinct
        needs_person.who,
        stuck.entry,
        stuck.entity,
        stuck.source_connection,
        stuck.source_id,
        stuck.amount,
        stuck.currency
    from cdc.needs_person
    inner join cdc.stuck_money as stuck
        on needs_person.entry = stuck.head
    where
        stuck.currency is not null
        and stuck.amount is not null
),

of_entities as (
    select
        who,
        source_connection,
        source_id,
        currency,
        sum(amount) as amount
    from of_entries
    group by who, entity, source_connection, source_id, currency
),

of_sources as (
    select
        who,
        currency,
        max(amount) as amount
    from of_entities
    group by who, source_connection, source_id, currency
),

of_currencies as (
    select
        who,
        currency,
        sum(amount) as amount
    from of_sources
    group by who, currency
),

money as (
    select
        who,
        jsonb_object_agg(currency, amount) as money
    from of_currencies
    group by who
),

people as (
    select
        who,
        is_dead,
        since
    from cdc.needs_person
    union all
    select
        'vendor',
        true,
        first_seen_at
    from cdc.bad_records
)

select
    people.who,
    count(*) filter (where people.is_dead) as letters,
    count(*) filter (where not people.is_dead) as holds,
    min(people.since) as since,
    coalesce(min(money.money::text)::jsonb, '{}'::jsonb) as money
from people
left join money
    on people.who = money.who
group by people.who
order by people.who;

-- name: last_proofs
-- The last proof of each target: when, of which period, and how many totals are not proved.
with last as (
    select
        target_connection,
        max(proof) as proof
    from cdc.proofs
    group by target_connection
)

select
    last.target_connection as connection,
    max(proofs.proved_at) as proved_at,
    count(*) as totals,
    count(*) filter (where proofs.is_proved is false) as failed,
    bool_or(proofs.is_proved is null) as is_unknown,
    min(runs.arguments ->> 'period') as period,
    coalesce(
        (
            select jsonb_agg(distinct unproved.flow)
            from cdc.proofs as unproved
            where
                unproved.run = newest.run
                and unproved.target_connection = last.target_connection
                and unproved.is_proved is false
        ),
        '[]'::jsonb
    ) as flows
from last
inner join cdc.proofs as newest
    on last.proof = newest.proof
inner join cdc.proofs as proofs
    on
        newest.run = proofs.run
        and last.target_connection = proofs.target_connection
left join cdc.runs
    on newest.run = runs.run
group by last.target_connection, newest.run
order by last.target_connection;

-- name: dead_total
-- How many dead letters there are.
select
    (
        select count(*)
        from cdc.outbox
        where
            state = 'rejected'
            or (state = 'in_doubt' and cause is not null)
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
            or (state = 'in_doubt' and cause is not null)
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
    connections.paused_reason,
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
-- What waits for which head of a chain, since when, with how much money: the longest stopped first.
-- An order's invoice and its payment are the same money: of a source record, the entity with most of it counts.
with of_entities as (
    select
        head,
        connection,
        entity,
        key,
        head_state,
        cause,
        reason,
        who,
        source_connection,
        source_id,
        waiting_entity,
        currency,
        count(*) as entries,
        least(min(created_at), min(head_since)) as since,
        sum(amount) as amount
    from cdc.stopped
    group by
        head, connection, entity, key, head_state, cause, reason, who, source_connection, source_id, waiting_entity, currency
),

of_sources as (
    select
        head,
        connection,
        entity,
        key,
        head_state,
        cause,
        reason,
        who,
        currency,
        sum(entries) as entries,
        min(since) as since,
        max(amount) as amount
    from of_entities
    group by head, connection, entity, key, head_state, cause, reason, who, source_connection, source_id, currency
),

of_currencies as (
    select
        connection,
        entity,
        key,
        head_state,
        cause,
        reason,
        who,
        currency,
        sum(entries) as entries,
        min(since) as since,
        sum(amount) as amount
    from of_sources
    group by connection, entity, key, head_state, cause, reason, who, currency
)

select
    connection,
    entity,
    key,
    head_state,
    cause,
    reason,
    who,
    sum(entries)::bigint as entries,
    min(since) as since,
    coalesce(jsonb_object_agg(currency, amount) filter (where currency is not null and amount is not null), '{}'::jsonb) as money
from of_currencies
group by connection, entity, key, head_state, cause, reason, who
order by min(since), entity, key
limit %(limit)s;

-- name: keys_like
-- Keys that a text names: a key, the end of one, or a target's id.
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

-- name: keys_by_value
-- Keys of open entries that would give a field of the target this text: a number that no record has yet.
select
    outbox.connection,
    outbox.entity,
    outbox.key,
    outbox.model
from cdc.outbox
where jsonb_path_exists(outbox.payload, '$.* ? (@ == $text)', jsonb_build_object('text', %(text)s::text))
order by outbox.connection, outbox.entity, outbox.key
limit %(limit)s;

-- name: heads
-- What a waiting entry waits for in the end: not what itself waits, but what that waits for. Parameters: connection, waits_for.
with recursive needed as (
    select
        needs.connection,
        needs.entity,
        needs.key,
        needs.is_nothing
    from cdc.needs(%(connection)s, %(waits_for)s) as needs
    where needs.is_waited_for
    union
    select
        needs.connection,
        needs.entity,
        needs.key,
        needs.is_nothing
    from needed
    inner join cdc.outbox as waiting
        on
            waiting.connection = needed.connection
            and waiting.entity = needed.entity
            and waiting.key = needed.key
            and waiting.state = 'waiting'
    cross join lateral cdc.needs(waiting.connection, waiting.waits_for) as needs
    where needs.is_waited_for
)

select
    needed.entity,
    needed.key,
    coalesce(
        head.reason,
        head.cause,
        head.held_for,
        head.state,
        case when not needed.is_nothing then 'a draft in the target: somebody approves it there first' end,
        'it is not in the outbox'
    ) as reason,
    head.cure
from needed
left join cdc.outbox as head
    on
        head.connection = needed.connection
        and head.entity = needed.entity
        and head.key = needed.key
where head.state is distinct from 'waiting'
order by needed.entity, needed.key
limit 3;

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
