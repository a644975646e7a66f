-- name: lock
-- Make and lock the row of a connection. connection, minute_limit, day_limit, concurrent_limit: the vendor's, or null.
insert into cdc.budget (connection, minute_limit, day_limit, concurrent_limit)
values (%(connection)s, %(minute_limit)s, %(day_limit)s, %(concurrent_limit)s)
on conflict (connection) do update set
    minute_limit = excluded.minute_limit,
    day_limit = excluded.day_limit,
    concurrent_limit = excluded.concurrent_limit;

-- name: draw
-- Count one call and make its slot, or say why not and for how long. The row is locked.
-- connection, slot: uuid, worker, seconds: of the slot's life; …_share: what this kind of work may use up, or null.
with clock as materialized (
    select clock_timestamp() as moment
),

expired as (
    delete from cdc.budget_slots
    where connection = %(connection)s and expires_at <= clock_timestamp()
),

windows as (
    select
        clock.moment,
        budget.blocked_until,
        case
            when budget.minute_started > clock.moment - interval '1 minute' then budget.minute_started
            else clock.moment
        end as minute_started,
        case
            when budget.minute_started > clock.moment - interval '1 minute' then budget.minute_used
            else 0
        end as minute_used,
        case
            when budget.day_started > clock.moment - interval '1 day' then budget.day_started
            else clock.moment
        end as day_started,
        case
            when budget.day_started > clock.moment - interval '1 day' then budget.day_used
            else 0
        end as day_used,
        (
            select count(*)
            from cdc.budget_slots as slots
            where slots.connection = budget.connection and slots.expires_at > clock.moment
        ) as in_flight
    from cdc.budget as budget
    cross join clock
    where budget.connection = %(connection)s
),

verdict as (
    select
        windows.*,
        case
            when windows.blocked_until > windows.moment then 'blocked'
            when windows.day_used >= %(day_share)s::integer then 'day'
            when windows.minute_used >= %(minute_share)s::integer then 'minute'
            when windows.in_flight >= %(concurrent_share)s::integer then 'concurrency'
        end as cause
    from windows
),

counted as (
    update cdc.budget as budget
    set
        minute_started = verdict.minute_started,
        minute_used = verdict.minute_used + 1,
        day_started = verdict.day_started,
        day_used = verdict.day_used + 1,
        in_flight = verdict.in_flight + 1,
        updated_at = verdict.moment
    from verdict
    where budget.connection = %(connection)s and verdict.cause is null
),

taken as (
    insert into cdc.budget_slots (slot, connection, worker, drawn_at, expires_at)
    select
        %(slot)s,
        %(connection)s,
        %(worker)s,
        verdict.moment,
        verdict.moment + make_interval(secs => %(seconds)s)
    from verdict
    where verdict.cause is null
)

select
    verdict.cause,
    verdict.moment as drawn_at,
    case verdict.cause
        when 'blocked' then extract(epoch from verdict.blocked_until - verdict.moment)
        when 'day' then extract(epoch from verdict.day_started + interval '1 day' - verdict.moment)
        when 'minute' then extract(epoch from verdict.minute_started + interval '1 minute' - verdict.moment)
    end as seconds
from verdict;

-- name: learn
-- Raise the counts to what an answer told. connection, minute_left, day_left, minute_limit, day_limit: or null;
-- drawn_at: when the answered call was drawn, or null. Nothing is ever lowered.
update cdc.budget
set
    minute_used = case
        when minute_started <= coalesce(%(drawn_at)s::timestamptz, minute_started)
            then greatest(minute_used, %(minute_limit)s::integer - %(minute_left)s::integer)
        else minute_used
    end,
    day_used = case
        when day_started <= coalesce(%(drawn_at)s::timestamptz, day_started)
            then greatest(day_used, %(day_limit)s::integer - %(day_left)s::integer)
        else day_used
    end,
    updated_at = clock_timestamp()
where connection = %(connection)s;

-- name: block
-- Nobody calls for so many seconds. connection, seconds.
update cdc.budget
set
    blocked_until = greatest(blocked_until, clock_timestamp() + make_interval(secs => %(seconds)s)),
    updated_at = clock_timestamp()
where connection = %(connection)s;

-- name: give_back
-- The call is over. slot: uuid.
with gone as (
    delete from cdc.budget_slots
    where slot = %(slot)s
    returning connection
)

update cdc.budget as budget
set in_flight = greatest(0, budget.in_flight - 1)
from gone
where budget.connection = gone.connection;
