-- name: pin
-- Pin a connection to the identity that answered first; no row when another identity is pinned already.
insert into cdc.connections (connection, system, target_identity, target_name, is_demo, base_currency)
values (%(connection)s, %(system)s, %(identity)s, %(name)s, %(is_demo)s, %(base_currency)s)
on conflict (connection) do update
    set
        target_name = excluded.target_name,
        is_demo = excluded.is_demo,
        base_currency = excluded.base_currency
    where connections.target_identity = excluded.target_identity
returning connection;

-- name: read
-- How a connection stands.
select *
from cdc.connections
where connection = %(connection)s;

-- name: of_target
-- The same, for who writes to it; is_under_way: there are calls of which nobody has settled what became of them.
select
    connections.*,
    exists (
        select 1
        from cdc.calls
        where
            calls.connection = connections.connection
            and calls.settled_at is null
    ) as is_under_way
from cdc.connections
where connections.connection = %(connection)s;

-- name: pause
-- A person pauses a connection, with the decision on record.
with paused as (
    update cdc.connections
    set
        paused_at = now(),
        paused_by = %(by)s,
        paused_reason = nullif(%(reason)s, '')
    where connection = %(connection)s
    returning connection
)

insert into cdc.decisions (decided_by, verb, connection, entity, key, reason)
select
    %(by)s,
    'pause',
    paused.connection,
    '',
    '',
    %(reason)s
from paused;

-- name: stop
-- The vendor refused the whole connection; the first reason stays.
update cdc.connections
set
    stopped_at = coalesce(stopped_at, now()),
    stopped_reason = coalesce(stopped_reason, %(reason)s)
where connection = %(connection)s;

-- name: resume
-- Writing is allowed again, with the decision on record.
with before as (
    select
        connection,
        stopped_at is not null as was_stopped
    from cdc.connections
    where
        connection = %(connection)s
        and (stopped_at is not null or paused_at is not null)
    for update
),

resumed as (
    update cdc.connections
    set
        stopped_at = null,
        stopped_reason = null,
        paused_at = null,
        paused_by = null,
        paused_reason = null
    from before
    where connections.connection = before.connection
),

decided as (
    insert into cdc.decisions (decided_by, verb, connection, entity, key)
    select
        %(by)s,
        'resume',
        before.connection,
        '',
        ''
    from before
)

select was_stopped
from before;
