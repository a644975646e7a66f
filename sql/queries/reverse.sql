-- Runs and what they wrote, and the marks by which a run is taken back.

-- name: runs
-- The last commands that changed something, with what they wrote to targets.
with last as (
    select *
    from cdc.runs
    where
        %(everything)s
        or exists (
            select 1
            from cdc.calls
            where calls.run = runs.run
        )
    order by runs.started_at desc
    limit %(limit)s
),

written as (
    select
        calls.run,
        done.connection,
        done.entity,
        done.operation,
        done.currency,
        count(*) as entries,
        sum(done.amount) as amount
    from last
    inner join cdc.calls
        on last.run = calls.run
    inner join cdc.outbox_done as done
        on calls.call = done.call
    where done.outcome = 'applied'
    group by calls.run, done.connection, done.entity, done.operation, done.currency
)

select
    last.run,
    last.command,
    last.arguments,
    last.host,
    last.started_at,
    last.finished_at,
    last.exit_code,
    coalesce(
        (
            select
                jsonb_agg(
                    to_jsonb(written.*) - 'run'
                    order by written.connection, written.entity, written.operation, written.currency
                )
            from written
            where written.run = last.run
        ),
        '[]'::jsonb
    ) as written
from last
order by last.started_at desc;

-- name: find
-- Runs whose id begins so.
select
    run,
    command,
    started_at
from cdc.runs
where starts_with(run::text, %(prefix)s)
order by started_at desc
limit 3;

-- name: began
-- When a run began.
select started_at
from cdc.runs
where run = %(run)s;

-- name: written
-- What a run wrote: entries that its calls applied, with the link as it is now. Null means any.
select
    wrote.entry,
    wrote.connection,
    wrote.entity,
    wrote.key,
    wrote.model,
    wrote.source_connection,
    wrote.source_id,
    wrote.operation,
    wrote.amount,
    wrote.currency,
    links.target_id,
    coalesce(wrote.made = links.target_id, true) as is_same,
    coalesce(links.is_gone, true) as is_gone,
    coalesce(links.is_adopted, false) as is_adopted,
    links.said,
    links.reversal
from (
    select
        done.entry,
        done.connection,
        done.entity,
        done.key,
        done.model,
        done.source_connection,
        done.source_id,
        done.operation,
        done.amount,
        done.currency,
        done.target_id as made
    from cdc.outbox_done as done
    inner join cdc.calls
        on done.call = calls.call
    where
        calls.run = %(run)s
        and done.outcome = 'applied'
    union all
    -- What was applied with another content than was sent is still open.
    select
        outbox.entry,
        outbox.connection,
        outbox.entity,
        outbox.key,
        outbox.model,
        outbox.source_connection,
        outbox.source_id,
        calls.operation,
        outbox.amount,
        outbox.currency,
        null
    from cdc.outbox
    inner join cdc.calls
        on outbox.call = calls.call
    where
        calls.run = %(run)s
        and outbox.held_for = 'answer differs'
) as wrote
left join cdc.links
    on
        wrote.connection = links.connection
        and wrote.entity = links.entity
        and wrote.key = links.key
where
    (%(connection)s::text is null or wrote.connection = %(connection)s)
    and (%(entity)s::text is null or wrote.entity = %(entity)s)
order by wrote.connection, wrote.entity, wrote.key, wrote.entry;

-- name: unsettled_calls
-- Calls of a run of which nobody knows yet whether they were carried out.
select count(*) as calls
from cdc.calls
where
    run = %(run)s
    and settled_at is null;

-- name: mark
-- A person takes these records back. The hash for which it holds is noted by the diff.
update cdc.links
set
    reversal = given.reversal,
    declined_hash = null,
    version = links.version + 1,
    updated_at = now()
from jsonb_to_recordset(%(rows)s) as given (connection text, entity text, key text, reversal jsonb)
where
    links.connection = given.connection
    and links.entity = given.entity
    and links.key = given.key;

-- name: proposed
-- What the diff proposes for a reversal.
select
    outbox.connection,
    outbox.entity,
    outbox.key,
    outbox.operation,
    outbox.state,
    outbox.held_for,
    outbox.cause,
    outbox.reason,
    outbox.cure,
    outbox.amount,
    outbox.currency,
    outbox.control -> 'correction' -> 'parts' -> 0 -> 'payload' as reversing,
    outbox.control -> 'correction' is not null as is_credited,
    outbox.waits_for
from cdc.outbox
inner join cdc.links
    on
        outbox.connection = links.connection
        and outbox.entity = links.entity
        and outbox.key = links.key
where
    links.reversal ->> 'run' = %(run)s::text
    and outbox.operation = 'remove'
order by outbox.connection, outbox.entity, outbox.key;

-- name: waiting_on
-- Entries that are not sent and refer to records that a reversal removes.
select distinct
    outbox.connection,
    outbox.entity,
    outbox.key
from cdc.outbox
cross join lateral jsonb_to_recordset(outbox.waits_for) as needed (connection text, entity text, key text, gone boolean)
inner join cdc.links
    on
        links.connection = coalesce(needed.connection, outbox.connection)
        and links.entity = needed.entity
        and links.key = needed.key
where
    links.reversal ->> 'run' = %(run)s::text
    and outbox.operation = 'create'
    and not coalesce(needed.gone, false)
order by outbox.connection, outbox.entity, outbox.key;
