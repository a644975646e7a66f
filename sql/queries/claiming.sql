-- Which entries a sender takes next, and which of them it may send.

-- name: reserve
-- The next entries of one operation that may be sent and that no other sender is busy with, with their links; `seen`: how many
-- were looked at. The locks are of the session, on the numbers of entries: nobody waits for them. {bound}: only those that a
-- plan binds, or only those that none does. `from_sleepers`: also those of senders that have said nothing for so long.
with ready as materialized (
    select outbox.entry
    from cdc.outbox
    where
        outbox.connection = %(connection)s
        and outbox.entity = %(entity)s
        and outbox.operation = %(operation)s
        and outbox.state = 'ready'
        and {bound}
        and outbox.not_before <= now()
        and outbox.entry > %(after)s::bigint
        and not outbox.entry = any(%(tried)s::bigint[])
    order by outbox.entry
    limit %(window)s
),

tried as materialized (
    select
        ready.entry,
        pg_try_advisory_lock(hashtext('tieout.outbox'), (ready.entry %% 2147483647)::integer) as is_reserved
    from ready
),

free as (
    select
        tried.entry,
        tried.is_reserved
    from tried
    where
        tried.is_reserved
        or (
            %(from_sleepers)s::boolean
            and tried.entry %% 2147483647 in (
                select pg_locks.objid::bigint
                from pg_locks
                inner join pg_stat_activity
                    on pg_stat_activity.pid = pg_locks.pid
                where
                    pg_locks.locktype = 'advisory'
                    and pg_locks.classid::bigint = hashtext('tieout.outbox')::bigint & 4294967295
                    and pg_locks.objsubid = 2
                    and pg_stat_activity.state_change < now() - make_interval(secs => %(seconds)s)
            )
        )
    limit %(limit)s
),

next_ones as (
    select
        outbox.entry,
        outbox.connection,
        outbox.key,
        outbox.operation,
        outbox.payload,
        outbox.payload_hash,
        outbox.fields,
        outbox.control,
        outbox.link_version,
        outbox.plan,
        outbox.cause,
        outbox.reason,
        outbox.cure,
        outbox.who,
        free.is_reserved,
        links.target_id,
        links.line_ids,
        links.returned,
        links.generation,
        coalesce((outbox.control ->> 'alone')::boolean, false) as is_alone
    from free
    inner join cdc.outbox
        on outbox.entry = free.entry
    inner join cdc.links
        on
            links.connection = outbox.connection
            and links.entity = outbox.entity
            and links.key = outbox.key
)

select
    counted.seen,
    next_ones.*
from (
    select count(*) as seen
    from ready
) as counted
left join next_ones
    on true
order by next_ones.entry;

-- name: ready
-- Of these entities and operations those of which something may be sent now, and of how many entries, as far as `most`.
-- {bound}: as for `reserve`.
select
    given.entity,
    given.operation,
    found.entries
from unnest(%(entities)s::text[], %(operations)s::text[], %(most)s::bigint[]) as given (entity, operation, most)
cross join lateral (
    select count(*) as entries
    from (
        select outbox.entry
        from cdc.outbox
        where
            outbox.connection = %(connection)s
            and outbox.entity = given.entity
            and outbox.operation = given.operation
            and outbox.state = 'ready'
            and {bound}
            and outbox.not_before <= now()
        limit given.most
    ) as first_ones
) as found
where found.entries > 0;

-- name: bound_by_none
-- Of `ready` and `reserve`. Two texts, because the planner takes `is not distinct from` for a rare case and would sort all that
-- are ready.
outbox.plan is null

-- name: bound_by_plan
-- Of `ready` and `reserve`: what this plan binds.
outbox.plan = %(plan)s

-- name: unreserve
-- What was reserved and not sent may be taken by others.
select count(pg_advisory_unlock(hashtext('tieout.outbox'), (given.entry %% 2147483647)::integer)) as entries
from unnest(%(entries)s::bigint[]) as given (entry);

-- name: sendable
-- Of these entries, those still as they were read, which counts where their keys are locked by now; `is_current`: their links
-- have not moved either. Nothing new is sent while a call there is in doubt, but for one that was given up to a person, or while somebody
-- stopped the connection. entries, versions, hashes: the entries as they were read.
select
    outbox.entry,
    outbox.link_version = links.version as is_current,
    coalesce(calls.outcome = 'settled by asking', false) as was_sent,
    (
        exists (
            select 1
            from cdc.calls as unknown
            where
                unknown.connection = %(connection)s
                and unknown.settled_at is null
                and unknown.outcome = 'unknown'
                and unknown.given_up_at is null
        )
        or exists (
            select 1
            from cdc.connections
            where
                connections.connection = %(connection)s
                and (connections.stopped_at is not null or connections.paused_at is not null)
        )
    ) as is_blocked
from unnest(%(entries)s::bigint[], %(versions)s::bigint[], %(hashes)s::text[]) as given (entry, link_version, payload_hash)
inner join cdc.outbox
    on
        outbox.entry = given.entry
        and outbox.link_version = given.link_version
        and outbox.payload_hash = given.payload_hash
        and outbox.state = 'ready'
inner join cdc.links
    on
        links.connection = outbox.connection
        and links.entity = outbox.entity
        and links.key = outbox.key
left join cdc.calls
    on calls.call = outbox.call;

-- name: is_busy
-- A call for the same serial_by is in flight or in doubt.
select count(*) > 0 as is_busy
from cdc.outbox
where
    connection = %(connection)s
    and serial_by = %(serial_by)s
    and state in ('sending', 'in_doubt');

-- name: is_in_doubt
-- Nothing new is sent to a target while a call there is in doubt, but for one that was given up to a person.
select count(*) > 0 as is_in_doubt
from cdc.calls
where
    connection = %(connection)s
    and settled_at is null
    and outcome = 'unknown'
    and given_up_at is null;
