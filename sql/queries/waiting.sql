-- Entries that wait for others: released when those are there, dead letters when they never will be.

-- name: unmet
-- Of `release_counted` and `release_waiting`: which candidates still wait.
select distinct candidate.entry
from candidate
cross join lateral cdc.needs(candidate.connection, candidate.waits_for) as needed
where needed.is_waited_for

-- name: await_referrers
-- A removal waits for the removals of what refers to it.
update cdc.outbox
set waits_for = outbox.waits_for || referring.waits_for
from (
    select
        removed.entry,
        jsonb_agg(distinct jsonb_build_object('entity', referrer.entity, 'key', referrer.key, 'gone', true)) as waits_for
    from cdc.outbox as removed
    inner join cdc.outbox as referrer
        on
            referrer.connection = removed.connection
            and referrer.operation = 'remove'
            and referrer.entry <> removed.entry
            and referrer.control -> 'refers'
            @> jsonb_build_array(jsonb_build_object('entity', removed.entity, 'key', removed.key))
    where
        removed.operation = 'remove'
        and removed.state in ('held', 'waiting', 'ready')
    group by removed.entry
) as referring
where
    outbox.entry = referring.entry
    and not outbox.waits_for @> referring.waits_for;

-- name: lock_references
-- Keys that the counted entries refer to: a settlement of one of them and this release cannot cross.
select links.key
from cdc.links
where (links.connection, links.entity, links.key) in (
    select
        coalesce(needed.connection, outbox.connection),
        needed.entity,
        needed.key
    from cdc.outbox
    cross join lateral jsonb_to_recordset(outbox.waits_for) as needed (connection text, entity text, key text)
    where
        outbox.model = %(model)s
        and outbox.state = 'held'
        and outbox.held_for = 'guard'
        and outbox.cause = 'counting'
)
order by links.connection, links.entity, links.key
for share of links;

-- name: release_counted
-- The guard lets the counted entries of a model pass.
with candidate as materialized (
    select
        entry,
        connection,
        waits_for
    from cdc.outbox
    where
        model = %(model)s
        and state = 'held'
        and held_for = 'guard'
        and cause = 'counting'
),

unmet as (
    {unmet}
),

released as (
    update cdc.outbox
    set
        state = case when unmet.entry is not null then 'waiting' else 'ready' end,
        held_for = null,
        cause = null,
        reason = null,
        cure = null,
        who = null,
        changed_at = now()
    from candidate
    left join unmet
        on candidate.entry = unmet.entry
    where
        outbox.entry = candidate.entry
        and outbox.state = 'held'
    returning outbox.connection, outbox.state
)

-- Wakes whoever waits for entries, once this has committed.
select pg_notify('tieout_ready', told.connection)
from (select distinct released.connection from released where released.state = 'ready') as told;

-- name: release_waiting
-- Waiting entries of a target whose references all exist.
with candidate as materialized (
    select
        entry,
        connection,
        waits_for
    from cdc.outbox
    where
        connection = %(connection)s
        and state = 'waiting'
),

unmet as (
    {unmet}
)

update cdc.outbox
set
    state = 'ready',
    changed_at = now()
from candidate
where
    outbox.entry = candidate.entry
    and outbox.state = 'waiting'
    and candidate.entry not in (select unmet.entry from unmet);

-- name: release_waiters
-- The same for those that wait for given keys. Fenced, so that it is a look by key for each, however many wait for others.
with candidate as materialized (
    select
        entry,
        connection,
        waits_for
    from (
        select distinct on (waiting.entry)
            waiting.entry,
            waiting.connection,
            waiting.waits_for
        from unnest(%(keys)s::text[]) as settled (key)
        cross join lateral (
            select
                outbox.entry,
                outbox.connection,
                outbox.waits_for
            from cdc.outbox
            where
                outbox.waits_for @> jsonb_build_array(jsonb_build_object('entity', %(entity)s::text, 'key', settled.key))
                and outbox.state = 'waiting'
            offset 0
        ) as waiting
    ) as each_once
),

unmet as (
    select distinct candidate.entry
    from candidate
    cross join lateral cdc.needs(candidate.connection, candidate.waits_for) as needed
    where needed.is_waited_for
)

update cdc.outbox
set
    state = 'ready',
    changed_at = now()
from candidate
where
    outbox.entry = candidate.entry
    and outbox.state = 'waiting'
    and candidate.entry not in (select unmet.entry from unmet);

-- name: missing
-- Of `mark_missing_references` and `restore_references`: candidates that refer to what is neither linked nor about to be made.
select
    candidate.entry,
    min(needed.entity || ' ' || needed.key) as reference
from candidate
cross join lateral cdc.needs(candidate.connection, candidate.waits_for) as needed
where needed.is_nothing
group by candidate.entry

-- name: mark_missing_references
-- A reference that is neither linked nor about to be made is a dead letter at once.
with candidate as materialized (
    select
        entry,
        connection,
        waits_for
    from cdc.outbox
    where
        connection = %(connection)s
        and state = 'waiting'
),

missing as (
    {missing}
)

update cdc.outbox
set
    state = 'held',
    held_for = 'problems',
    cause = 'reference to nothing',
    reason = 'it refers to ' || missing.reference || ', which is not in the target and which no model makes',
    cure = 'Let a model make that record (is it skipped?), or correct the reference; it is sent by itself.',
    who = 'analyst',
    changed_at = now()
from missing
where
    outbox.entry = missing.entry
    and outbox.state = 'waiting';

-- name: restore_references
-- Entries whose missing reference exists now wait for it as all others do.
with candidate as materialized (
    select
        entry,
        connection,
        waits_for
    from cdc.outbox
    where
        connection = %(connection)s
        and state = 'held'
        and held_for = 'problems'
        and cause = 'reference to nothing'
),

missing as (
    {missing}
)

update cdc.outbox
set
    state = 'waiting',
    held_for = null,
    cause = null,
    reason = null,
    cure = null,
    who = null,
    changed_at = now()
from candidate
where
    outbox.entry = candidate.entry
    and candidate.entry not in (select missing.entry from missing);

-- name: wait_again
-- Ready entries whose reference is gone again.
update cdc.outbox
set
    state = 'waiting',
    changed_at = now()
where
    entry = any(%(entries)s)
    and state = 'ready';
