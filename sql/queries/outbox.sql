-- Open entries: made, changed, closed, and how they stand.

-- name: insert
-- New entries.
insert into cdc.outbox (
    connection, entity, key, model, source_connection, source_id, operation, state, held_for, payload, payload_hash,
    fields, control, link_version, waits_for, amount, currency, document_date, cause, reason, cure, who, build, origin, run
)
select
    given.connection,
    given.entity,
    given.key,
    given.model,
    given.source_connection,
    given.source_id,
    given.operation,
    given.state,
    given.held_for,
    given.payload,
    given.payload_hash,
    case when given.fields is not null then array(select jsonb_array_elements_text(given.fields)) end,
    given.control,
    given.link_version,
    given.waits_for,
    given.amount,
    given.currency,
    given.document_date,
    given.cause,
    given.reason,
    given.cure,
    given.who,
    given.build,
    given.origin,
    %(run)s
from jsonb_to_recordset(%(rows)s) as given (
    connection text,
    entity text,
    key text,
    model text,
    source_connection text,
    source_id text,
    operation text,
    state text,
    held_for text,
    payload jsonb,
    payload_hash text,
    fields jsonb,
    control jsonb,
    link_version bigint,
    waits_for jsonb,
    amount numeric,
    currency text,
    document_date date,
    cause text,
    reason text,
    cure text,
    who text,
    build text,
    origin jsonb
);

-- name: close
-- Entries that are over move away, with what became of them.
with gone as (
    delete from cdc.outbox
    using jsonb_to_recordset(%(rows)s) as given (entry bigint, outcome text, target_id text, reason text)
    where outbox.entry = given.entry
    returning outbox.*, given.outcome, given.target_id as new_target_id, given.reason as told
)

insert into cdc.outbox_done (
    entry, connection, entity, key, model, source_connection, source_id, operation, outcome, payload, payload_hash,
    fields, link_version, target_id, amount, currency, reason, attempts, call, run, created_at, plan, build, origin
)
select
    entry,
    connection,
    entity,
    key,
    model,
    source_connection,
    source_id,
    operation,
    outcome,
    payload,
    payload_hash,
    fields,
    link_version,
    new_target_id,
    amount,
    currency,
    coalesce(told, reason),
    attempts,
    call,
    run,
    created_at,
    plan,
    build,
    origin
from gone;

-- name: connections_of_model
-- Targets in which a model has open entries.
select distinct connection
from cdc.outbox
where model = %(model)s;

-- name: alive
-- Of these entries, whose keys are locked by now, which are still in one of these states (and of this call).
select outbox.entry
from cdc.outbox
where
    outbox.entry = any(%(entries)s::bigint[])
    and outbox.state = any(%(states)s::text[])
    and (%(call)s::uuid is null or outbox.call = %(call)s);

-- name: change
-- What a settlement says about entries that stay open.
update cdc.outbox
set
    state = given.state,
    held_for = given.held_for,
    operation = coalesce(given.operation, outbox.operation),
    payload = coalesce(given.payload, outbox.payload),
    payload_hash = coalesce(given.payload_hash, outbox.payload_hash),
    fields = case
        when given.fields is not null then array(select jsonb_array_elements_text(given.fields)) else outbox.fields
    end,
    control = outbox.control || coalesce(given.control, '{}'::jsonb),
    link_version = coalesce(given.link_version, outbox.link_version),
    not_before = case
        when given.seconds is not null then now() + make_interval(secs => given.seconds::double precision)
        else outbox.not_before
    end,
    cause = given.cause,
    reason = given.reason,
    cure = given.cure,
    who = given.who,
    answer = coalesce(given.answer, outbox.answer),
    origin = case when given.origin is null then outbox.origin else coalesce(outbox.origin, '{}'::jsonb) || given.origin end,
    told_at = null,
    changed_at = now()
from jsonb_to_recordset(%(rows)s) as given (
    entry bigint,
    state text,
    held_for text,
    operation text,
    payload jsonb,
    payload_hash text,
    fields jsonb,
    control jsonb,
    link_version bigint,
    seconds numeric,
    cause text,
    reason text,
    cure text,
    who text,
    answer jsonb,
    origin jsonb
)
where outbox.entry = given.entry;

-- name: of_call
-- The entries of a call that are still on their way.
select
    outbox.*,
    links.target_id,
    links.line_ids,
    links.returned,
    links.generation,
    false as is_alone
from cdc.outbox
inner join cdc.links
    on
        links.connection = outbox.connection
        and links.entity = outbox.entity
        and links.key = outbox.key
where
    outbox.call = %(call)s
    and outbox.state in ('sending', 'in_doubt')
order by array_position(%(entries)s::bigint[], outbox.entry);

-- name: standing
-- What a target has to do: something open that moves by itself, and something that could be done about it now; and how it stands
-- (one row, also for a connection that was never pinned).
select
    connections.*,
    exists (
        select 1
        from cdc.uncompared
        where uncompared.connection = %(connection)s
    ) as is_uncompared,
    exists (
        select 1
        from cdc.outbox
        where
            outbox.connection = %(connection)s
            and outbox.state = any('{waiting,ready,sending,in_doubt}')
    ) as is_open,
    exists (
        select 1
        from cdc.outbox
        where
            outbox.connection = %(connection)s
            and outbox.state = 'waiting'
    ) as is_waiting,
    exists (
        select 1
        from cdc.outbox
        where
            outbox.connection = %(connection)s
            and outbox.state = any('{sending,in_doubt}')
    )
    or exists (
        select 1
        from cdc.calls
        where
            calls.connection = %(connection)s
            and calls.settled_at is null
    ) as is_sending,
    exists (
        select 1
        from cdc.outbox
        where
            outbox.connection = %(connection)s
            and outbox.state = 'ready'
            and outbox.not_before <= now()
    ) as is_ready
from (select 1) as always
left join cdc.connections
    on connections.connection = %(connection)s;

-- name: open_counts
-- Open entries of a target by state.
select
    state,
    count(*) as entries
from cdc.outbox
where connection = %(connection)s
group by state;

-- name: tidy
-- Autovacuum comes by once a minute at most; until then a drain at full speed would leave a hundred thousand dead rows, look
-- past their index entries, and lay new rows at the end of a file that grows. The table is not cut off: that would need it alone.
vacuum (skip_locked, truncate false, parallel 0, skip_database_stats) cdc.outbox;

-- name: is_unknown_to_planner
-- Were so many entries made, changed and closed since the planner's statistics were taken that they say nothing any more? A hundred,
-- and a tenth of what they say there is: taking them of many costs tenths of a second, and is to be worth it.
select pg_stat_get_mod_since_analyze(outbox.oid) >= 100 + greatest(outbox.reltuples, 0) / 10 as is_unknown
from pg_class as outbox
where outbox.oid = 'cdc.outbox'::regclass;

-- name: analyze_outbox
-- After many new entries the planner must know their states; autovacuum would take a minute.
analyze cdc.outbox (connection, entity, key, model, operation, state, held_for, cause, waits_for);

-- name: analyze_links
-- The same for the links.
analyze cdc.links (connection, entity, key, model, source_connection, source_id, target_id, is_gone);

-- name: show_made_twice
-- Finished entries whose key is linked to another record than the one that a late answer tells of: held, so that what
-- follows is not posted on one of two documents unseen. An open entry of the key stays as it is.
insert into cdc.outbox (
    connection, entity, key, model, source_connection, source_id, operation, state, held_for, payload, payload_hash, fields,
    link_version, amount, currency, cause, reason, cure, who, run
)
select
    done.connection,
    done.entity,
    done.key,
    done.model,
    done.source_connection,
    done.source_id,
    'update',
    'held',
    'answer differs',
    done.payload,
    done.payload_hash,
    array[]::text[],
    links.version,
    done.amount,
    done.currency,
    'made twice',
    format(
        'A run that had slept sent it once more, after another had sent it: the target has it twice: %%s.',
        coalesce(given.twice, links.target_id || ', ' || given.target_id)
    ),
    'Void the one that is not linked in the target, then accept the other as it is.',
    'accountant',
    done.run
from jsonb_to_recordset(%(rows)s) as given (entry bigint, target_id text, twice text)
inner join cdc.outbox_done as done
    on done.entry = given.entry
inner join cdc.links
    on
        links.connection = done.connection
        and links.entity = done.entity
        and links.key = done.key
where
    given.twice is not null
    or links.target_id <> given.target_id
on conflict (connection, entity, key) do nothing;
