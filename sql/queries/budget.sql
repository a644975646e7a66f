-- Budget: what all processes together may still call at a connection. Times are the database's.

-- name: register
-- Make the row of a connection, and of its app. Parameters: owners (in order).
insert into cdc.budget (owner)
select wanted.owner
from unnest(%(owners)s::text[]) as wanted (owner)
order by wanted.owner
on conflict (owner) do nothing;

-- name: register_windows
-- The vendor's limits; a quota of null is only counted. Parameters: window_owners, kinds, quotas, spans (as intervals).
insert into cdc.budget_windows (owner, kind, quota, span)
select
    wanted.owner,
    wanted.kind,
    wanted.quota,
    wanted.span
from unnest(
    %(window_owners)s::text[], %(kinds)s::text[], %(quotas)s::bigint[], %(spans)s::interval[]
) as wanted (owner, kind, quota, span)
order by wanted.owner, wanted.kind
on conflict (owner, kind) do update set
    quota = excluded.quota,
    span = excluded.span
where
    budget_windows.quota is distinct from excluded.quota
    or budget_windows.span <> excluded.span;

-- name: lock
-- One draws at a time. Counts need not outlive a crash of the server, which nobody waits for here. Parameters: owners.
select
    budget.owner,
    set_config('synchronous_commit', 'off', true) as durability
from cdc.budget as budget
where budget.owner = any(%(owners)s)
order by budget.owner
for update;

-- name: draw
-- Take a slot, or say why not and for how long. The rows are locked. Parameters: connection, app (or null), owners;
-- slot, worker, bytes, seconds (of the slot's life); ticket, class (0 person, 1 fresh, 2 backfill), patience (seconds
-- that the caller would wait); window_owners, kinds, shares (what this class may use, or null); concurrent_share.
with clock as materialized (
    select clock_timestamp() as moment
),

expired as (
    delete from cdc.budget_slots
    where connection = %(connection)s and expires_at <= clock_timestamp()
    returning
        connection,
        app,
        bytes,
        expires_at
),

-- A call of a process that died may have reached the vendor.
counted_late as (
    insert into cdc.budget_used (owner, kind, at, amount)
    select
        windows.owner,
        windows.kind,
        expired.expires_at,
        sum(case when windows.kind = 'bytes' then expired.bytes else 1 end)
    from expired
    inner join cdc.budget_windows as windows on windows.owner in (expired.connection, expired.app)
    group by windows.owner, windows.kind, expired.expires_at
    order by windows.owner, windows.kind, expired.expires_at
    on conflict (owner, kind, at) do update set amount = budget_used.amount + excluded.amount
),

forgotten as (
    delete from cdc.budget_used as used
    using clock, cdc.budget_windows as windows
    where
        windows.owner = any(%(owners)s)
        and used.owner = windows.owner
        and used.kind = windows.kind
        and used.at < clock.moment - windows.span - interval '10 minutes'
),

in_flight as materialized (
    select
        count(*) filter (
            where slots.connection = %(connection)s and slots.expires_at > clock.moment
        ) as at_once,
        count(*) filter (where slots.connection = %(connection)s) as of_connection,
        count(*) filter (where slots.app = %(app)s) as of_app,
        coalesce(sum(slots.bytes) filter (where slots.connection = %(connection)s), 0)::bigint as bytes
    from clock
    left join cdc.budget_slots as slots on slots.connection = %(connection)s or slots.app = %(app)s
),

windows as materialized (
    select
        windows.owner,
        windows.kind,
        windows.span,
        windows.quota,
        wanted.share,
        case when windows.kind = 'bytes' then %(bytes)s::bigint else 1 end as wanted,
        windows.told_until,
        coalesce((
            select sum(used.amount)
            from cdc.budget_used as used
            where
                used.owner = windows.owner
                and used.kind = windows.kind
                and used.at > clock.moment - windows.span
        ), 0)::bigint
        + case
            when windows.kind = 'bytes' then in_flight.bytes
            when windows.owner = %(connection)s then in_flight.of_connection
            else in_flight.of_app
        end
        + case when windows.told_until > clock.moment then windows.others else 0 end as used
    from unnest(
        %(window_owners)s::text[], %(kinds)s::text[], %(shares)s::bigint[]
    ) as wanted (owner, kind, share)
    inner join cdc.budget_windows as windows on wanted.owner = windows.owner and wanted.kind = windows.kind
    cross join clock
    cross join in_flight
),

-- A body that is larger than the whole limit can only go alone.
full_windows as (
    select
        windows.*,
        windows.used + windows.wanted - windows.share as excess
    from windows
    where windows.share is not null and windows.used > 0 and windows.used + windows.wanted > windows.share
),

queue as (
    select count(*) as ahead
    from cdc.budget_queue as others
    cross join clock
    left join cdc.budget_queue as mine on mine.ticket = %(ticket)s
    where
        others.connection = %(connection)s
        and others.ticket <> %(ticket)s
        and others.due_at + interval '2 seconds' > clock.moment
        and (others.class, others.since) < (%(class)s, coalesce(mine.since, clock.moment))
),

present as (
    select
        clock.moment,
        queue.ahead,
        in_flight.at_once,
        minute.span,
        (
            select max(rows.blocked_until)
            from cdc.budget as rows
            where rows.owner = any(%(owners)s)
        ) as blocked_until,
        least(
            (
                select min(greatest((windows.share - windows.used) / windows.wanted, (windows.used = 0)::integer))
                from windows
                where windows.wanted > 0 and windows.share is not null
            ),
            %(concurrent_share)s::bigint - in_flight.at_once
        ) as free,
        -- Backfill spreads its calls once half a minute's budget is used, so that others wait for a moment only.
        case
            when %(class)s = 2 and minute.used >= minute.share / 2
                then budget.last_backfill + 0.9 * minute.span / minute.quota
        end as paced_until
    from clock
    cross join queue
    cross join in_flight
    inner join cdc.budget as budget on budget.owner = %(connection)s
    left join windows as minute on minute.owner = %(connection)s and minute.kind = 'minute' and minute.share is not null
),

verdict as (
    select
        present.*,
        case
            when present.blocked_until > present.moment then 'blocked'
            when exists (select 1 from full_windows)
                then (
                    select
                        case when full_windows.owner = %(connection)s then full_windows.kind else 'minute of the app' end
                    from full_windows
                    order by full_windows.span desc
                    limit 1
                )
            when present.at_once >= %(concurrent_share)s::bigint then 'concurrency'
            when present.paced_until > present.moment then 'pace'
            when present.ahead >= present.free then 'turn'
        end as cause
    from present
),

waiting as (
    select
        verdict.moment,
        verdict.cause,
        case
            when verdict.cause = 'blocked' then verdict.blocked_until - verdict.moment
            when verdict.cause in ('concurrency', 'turn') then interval '0.1 seconds' * least(1 + verdict.ahead, 20)
            when verdict.cause = 'pace'
                then verdict.paced_until - verdict.moment + verdict.ahead * verdict.span / 60
            when verdict.cause is not null
                then (
                    select max(coalesce(
                        (
                            select leaving.at + full_windows.span
                            from (
                                select
                                    used.at,
                                    sum(used.amount) over (order by used.at) as gone
                                from cdc.budget_used as used
                                where
                                    used.owner = full_windows.owner
                                    and used.kind = full_windows.kind
                                    and used.at > verdict.moment - full_windows.span
                            ) as leaving
                            where leaving.gone >= full_windows.excess + verdict.ahead * full_windows.wanted
                            order by leaving.at
                            limit 1
                        ),
                        full_windows.told_until,
                        verdict.moment + interval '1 second'
                    ))
                    from full_windows
                ) - verdict.moment
        end as pause
    from verdict
),

granted as (
    insert into cdc.budget_slots (slot, connection, app, worker, bytes, drawn_at, expires_at)
    select
        %(slot)s,
        %(connection)s,
        %(app)s,
        %(worker)s,
        %(bytes)s,
        waiting.moment,
        waiting.moment + make_interval(secs => %(seconds)s)
    from waiting
    where waiting.cause is null
),

noted as (
    update cdc.budget as budget
    set last_backfill = waiting.moment
    from waiting
    where budget.owner = %(connection)s and %(class)s = 2 and waiting.cause is null
),

queued as (
    insert into cdc.budget_queue (ticket, connection, class, since, due_at)
    select
        %(ticket)s,
        %(connection)s,
        %(class)s,
        waiting.moment,
        waiting.moment + waiting.pause
    from waiting
    where waiting.pause <= make_interval(secs => %(patience)s)
    on conflict (ticket) do update set
        class = least(budget_queue.class, excluded.class),
        due_at = excluded.due_at
),

served as (
    delete from cdc.budget_queue
    using waiting
    where
        budget_queue.connection = %(connection)s
        and (
            (budget_queue.ticket = %(ticket)s and (waiting.cause is null))
            or budget_queue.due_at < waiting.moment - interval '10 minutes'
        )
)

select
    waiting.cause,
    waiting.moment as drawn_at,
    extract(epoch from waiting.pause)::double precision as seconds
from waiting;

-- name: give_back
-- The call is over: it counts from now for a span. Parameters: slot, bytes (that were sent; null: as reserved).
with gone as (
    delete from cdc.budget_slots
    where slot = %(slot)s and set_config('synchronous_commit', 'off', true) = 'off'
    returning
        connection,
        app,
        bytes
)

insert into cdc.budget_used (owner, kind, at, amount)
select
    windows.owner,
    windows.kind,
    date_bin(windows.span / 240, clock_timestamp(), timestamptz 'epoch') + windows.span / 240,
    case when windows.kind = 'bytes' then coalesce(%(bytes)s::bigint, gone.bytes) else 1 end
from gone
inner join cdc.budget_windows as windows on windows.owner in (gone.connection, gone.app)
order by windows.owner, windows.kind
on conflict (owner, kind, at) do update set amount = budget_used.amount + excluded.amount;

-- name: unused
-- Nothing was sent. Parameters: slot.
delete from cdc.budget_slots
where slot = %(slot)s;

-- name: learn
-- What an answer told is used, of which ours is a part. Only tightens, until the vendor's own count falls in an answer to
-- a later call: its window has moved. Parameters: drawn_at (of the call); window_owners, kinds, told (used, of the quota).
with told as (
    select
        answer.owner,
        answer.kind,
        answer.used,
        greatest(0, answer.used - (
            coalesce((
                select sum(used.amount)
                from cdc.budget_used as used
                where
                    used.owner = windows.owner
                    and used.kind = windows.kind
                    and used.at > %(drawn_at)s::timestamptz - windows.span
            ), 0)
            + (
                select count(*)
                from cdc.budget_slots as slots
                where slots.connection = windows.owner or slots.app = windows.owner
            )
        ))::bigint as others
    from unnest(%(window_owners)s::text[], %(kinds)s::text[], %(told)s::bigint[]) as answer (owner, kind, used)
    inner join cdc.budget_windows as windows on answer.owner = windows.owner and answer.kind = windows.kind
    -- An answer to a call from before the span tells nothing about it.
    where %(drawn_at)s::timestamptz > clock_timestamp() - windows.span
)

update cdc.budget_windows as windows
set
    others = case
        when not windows.told_until > clock_timestamp() then told.others
        when %(drawn_at)s > windows.told_at and told.used < windows.told_used then told.others
        else greatest(windows.others, told.others)
    end,
    told_until = case
        when %(drawn_at)s > windows.told_at and told.used < windows.told_used then clock_timestamp() + windows.span
        when windows.told_until > clock_timestamp() and told.others < windows.others then windows.told_until
        else clock_timestamp() + windows.span
    end,
    told_used = case
        when windows.told_until > clock_timestamp() and %(drawn_at)s <= windows.told_at
            then greatest(windows.told_used, told.used)
        else told.used
    end,
    told_at = clock_timestamp()
from told
where
    told.owner = windows.owner
    and told.kind = windows.kind
    -- With nobody else at work there is nothing to note, and no row to write for each answer.
    and (told.others > 0 or (windows.others > 0 and windows.told_until > clock_timestamp()));

-- name: block
-- Nobody calls for so many seconds. Parameters: owner, seconds.
update cdc.budget
set blocked_until = greatest(blocked_until, clock_timestamp() + make_interval(secs => %(seconds)s))
where owner = %(owner)s;

-- name: forecast
-- The day of each connection: what is used, how fast, and until when the rest lasts at that pace.
with clock as materialized (
    select clock_timestamp() as moment
),

days as (
    select
        windows.owner as connection,
        windows.quota,
        budget.blocked_until,
        (
            select count(*)
            from cdc.budget_slots as slots
            where slots.connection = windows.owner
        )
        + case when windows.told_until > clock.moment then windows.others else 0 end
        + coalesce(sum(used.amount), 0) as used,
        coalesce(sum(used.amount) filter (where used.at > clock.moment - windows.span / 24), 0) as last_hour,
        min(used.at) filter (where used.at > clock.moment - windows.span / 24) as first_of_hour,
        windows.span
    from cdc.budget_windows as windows
    inner join cdc.budget as budget on windows.owner = budget.owner
    cross join clock
    left join cdc.budget_used as used
        on
            windows.owner = used.owner
            and windows.kind = used.kind
            and used.at > clock.moment - windows.span
    where windows.kind = 'day'
    group by windows.owner, windows.quota, windows.span, windows.told_until, windows.others, budget.blocked_until, clock.moment
),

paced as (
    select
        days.*,
        clock.moment,
        -- An hour's calls that all lie in its last minutes are no pace of an hour; less than a quarter of it says little.
        days.last_hour / (extract(epoch from greatest(
            clock.moment - days.first_of_hour + days.span / 240, days.span / 96
        )) / 3600)::numeric as an_hour
    from days
    cross join clock
)

select
    paced.connection,
    paced.used::bigint as used,
    paced.quota,
    round(coalesce(paced.an_hour, 0))::bigint as an_hour,
    case when paced.blocked_until > paced.moment then paced.blocked_until end as blocked_until,
    case
        when
            paced.quota is not null
            and paced.an_hour > 0
            and greatest(0, paced.quota - paced.used) / paced.an_hour < extract(epoch from paced.span)::numeric / 3600
            then paced.moment + interval '1 hour' * (greatest(0, paced.quota - paced.used) / paced.an_hour)::double precision
    end as lasts_until
from paced
order by paced.connection;
