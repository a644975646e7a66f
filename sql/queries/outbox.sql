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

-- name: counted
-- Entries of a model whose diff is ending, by operation and currency, with the money of their documents.
select
    operation,
    currency,
    count(*) as entries,
    coalesce(sum(abs(amount)), 0) as amount,
    coalesce(max(abs(amount)), 0) as largest,
    count(*) filter (where amount is null or currency is null) as without_amount
from cdc.outbox
where
    model = %(model)s
    and state = 'held'
    and held_for = 'guard'
    and cause = 'counting'
group by operation, currency
order by operation, currency;

-- name: passed_lately
-- What limits let pass of a model in the last `seconds`, one row an operation and currency.
select
    operation,
    currency,
    sum(entries)::bigint as entries,
    sum(amount) as amount,
    max(largest) as largest,
    sum(without_amount)::bigint as without_amount
from cdc.passed
where
    model = %(model)s
    and passed_at > now() - make_interval(secs => %(seconds)s)
group by operation, currency;

-- name: note_passed
-- Remember what passes in this transaction. rows: one an operation and currency.
insert into cdc.passed (model, operation, currency, entries, amount, largest, without_amount)
select
    %(model)s,
    given.operation,
    given.currency,
    given.entries,
    given.amount,
    given.largest,
    given.without_amount
from jsonb_to_recordset(%(rows)s) as given (
    operation text, currency text, entries bigint, amount numeric, largest numeric, without_amount bigint
);

-- name: forget_passed
-- What is too long ago to count.
delete from cdc.passed
where
    model = %(model)s
    and passed_at <= now() - make_interval(secs => %(seconds)s);

-- name: linked
-- How many records a model has in its targets; counted until there are `enough` (null: all).
select count(*) as records
from (
    select 1
    from cdc.links
    where
        model = %(model)s
        and target_id is not null
        and not is_gone
    limit %(enough)s::bigint
) as found;

-- name: posted
-- How much money a model has in its targets, by currency, and of how many records nobody knows: each as it was last sent.
select
    done.currency,
    coalesce(sum(abs(done.amount)), 0) as amount,
    count(*) filter (where done.amount is null or done.currency is null) as unknown
from cdc.links
left join lateral (
    select
        last.amount,
        last.currency
    from (
        select
            ended.entry,
            ended.amount,
            ended.currency
        from cdc.outbox_done as ended
        where
            ended.connection = links.connection
            and ended.entity = links.entity
            and ended.key = links.key
            and ended.outcome in ('applied', 'unchanged', 'satisfied')
        union all
        -- What is kept of archived months.
        select
            kept.entry,
            kept.amount,
            kept.currency
        from cdc.last_entries as kept
        where
            kept.connection = links.connection
            and kept.entity = links.entity
            and kept.key = links.key
    ) as last
    order by last.entry desc
    limit 1
) as done on true
where
    links.model = %(model)s
    and links.target_id is not null
    and not links.is_gone
group by done.currency;

-- name: vanished
-- How many rows of a model are held because they vanished.
select count(*) as entries
from cdc.outbox
where
    model = %(model)s
    and state = 'held'
    and held_for = 'vanished'
    and cause in (%(one)s, %(many)s);

-- name: name_vanished
-- Say of them whether it was one by one or many at once.
update cdc.outbox
set
    cause = %(cause)s,
    cure = coalesce(%(cure)s, cure),
    changed_at = now()
where
    model = %(model)s
    and state = 'held'
    and held_for = 'vanished'
    and cause in (%(one)s, %(many)s)
    and cause <> %(cause)s;

-- name: guard
-- Hold the counted entries of these operations for a person.
update cdc.outbox
set
    cause = %(cause)s,
    reason = %(reason)s,
    cure = %(cure)s,
    who = 'operator',
    changed_at = now()
where
    model = %(model)s
    and state = 'held'
    and held_for = 'guard'
    and cause = 'counting'
    and operation = any(%(operations)s)
    and (%(currency)s::text is null or currency = %(currency)s)
    and (%(above)s::numeric is null or abs(amount) > %(above)s)
    and (not %(without_amount)s or amount is null or currency is null);

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
-- The guard lets the counted entries of a model pass. What waits is judged as cdc.waits does, for all at once.
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
    select distinct candidate.entry
    from candidate
    cross join lateral jsonb_to_recordset(candidate.waits_for) as needed (
        connection text, entity text, key text, settled boolean, gone boolean
    )
    left join cdc.links
        on
            links.connection = coalesce(needed.connection, candidate.connection)
            and links.entity = needed.entity
            and links.key = needed.key
    left join cdc.outbox as head
        on
            head.connection = coalesce(needed.connection, candidate.connection)
            and head.entity = needed.entity
            and head.key = needed.key
    where
        case
            when needed.gone then links.target_id is not null and not links.is_gone and head.entry is not null
            else
                links.target_id is null
                or links.is_gone
                or head.held_for = 'answer differs'
                or (coalesce(needed.settled, false) and (head.entry is not null or cdc.is_provisional(links.said)))
        end
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
-- Waiting entries of a target whose references all exist; judged as cdc.waits does, for all at once.
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
    select distinct candidate.entry
    from candidate
    cross join lateral jsonb_to_recordset(candidate.waits_for) as needed (
        connection text, entity text, key text, settled boolean, gone boolean
    )
    left join cdc.links
        on
            links.connection = coalesce(needed.connection, candidate.connection)
            and links.entity = needed.entity
            and links.key = needed.key
    left join cdc.outbox as head
        on
            head.connection = coalesce(needed.connection, candidate.connection)
            and head.entity = needed.entity
            and head.key = needed.key
    where
        case
            when needed.gone then links.target_id is not null and not links.is_gone and head.entry is not null
            else
                links.target_id is null
                or links.is_gone
                or head.held_for = 'answer differs'
                or (coalesce(needed.settled, false) and (head.entry is not null or cdc.is_provisional(links.said)))
        end
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
-- The same for those that wait for given keys; fenced, so that it is a look by key for each, however many wait for others.
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
    cross join lateral jsonb_to_recordset(candidate.waits_for) as needed (
        connection text, entity text, key text, settled boolean, gone boolean
    )
    left join lateral (
        select
            link.target_id,
            link.is_gone,
            link.said
        from cdc.links as link
        where
            link.connection = coalesce(needed.connection, candidate.connection)
            and link.entity = needed.entity
            and link.key = needed.key
        offset 0
    ) as links
        on true
    left join lateral (
        select
            open_one.entry,
            open_one.held_for
        from cdc.outbox as open_one
        where
            open_one.connection = coalesce(needed.connection, candidate.connection)
            and open_one.entity = needed.entity
            and open_one.key = needed.key
        offset 0
    ) as head
        on true
    where
        case
            when needed.gone then links.target_id is not null and not links.is_gone and head.entry is not null
            else
                links.target_id is null
                or links.is_gone
                or head.held_for = 'answer differs'
                or (coalesce(needed.settled, false) and (head.entry is not null or cdc.is_provisional(links.said)))
        end
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
    select
        candidate.entry,
        min(needed.entity || ' ' || needed.key) as reference
    from candidate
    cross join lateral jsonb_to_recordset(candidate.waits_for) as needed (
        connection text, entity text, key text, gone boolean
    )
    left join cdc.links
        on
            links.connection = coalesce(needed.connection, candidate.connection)
            and links.entity = needed.entity
            and links.key = needed.key
    left join cdc.outbox as head
        on
            head.connection = coalesce(needed.connection, candidate.connection)
            and head.entity = needed.entity
            and head.key = needed.key
    where
        not coalesce(needed.gone, false)
        and (links.target_id is null or links.is_gone)
        and head.entry is null
    group by candidate.entry
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
    select
        candidate.entry,
        min(needed.entity || ' ' || needed.key) as reference
    from candidate
    cross join lateral jsonb_to_recordset(candidate.waits_for) as needed (
        connection text, entity text, key text, gone boolean
    )
    left join cdc.links
        on
            links.connection = coalesce(needed.connection, candidate.connection)
            and links.entity = needed.entity
            and links.key = needed.key
    left join cdc.outbox as head
        on
            head.connection = coalesce(needed.connection, candidate.connection)
            and head.entity = needed.entity
            and head.key = needed.key
    where
        not coalesce(needed.gone, false)
        and (links.target_id is null or links.is_gone)
        and head.entry is null
    group by candidate.entry
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

-- name: connections_of_model
-- Targets in which a model has open entries.
select distinct connection
from cdc.outbox
where model = %(model)s;

-- name: held_counts
-- Entries of a model that need a person, by why.
select
    connection,
    held_for,
    cause,
    count(*) as entries
from cdc.outbox
where
    model = %(model)s
    and state = 'held'
    and run = %(run)s
group by connection, held_for, cause;

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
        outbox.*,
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

-- name: bound_by_none
-- Of `reserve`. Two texts, because the planner takes `is not distinct from` for a rare case and would sort all that are ready.
outbox.plan is null

-- name: bound_by_plan
-- Of `reserve`: what this plan binds.
outbox.plan = %(plan)s

-- name: unreserve
-- What was reserved and not sent may be taken by others.
select count(pg_advisory_unlock(hashtext('tieout.outbox'), (given.entry %% 2147483647)::integer)) as entries
from unnest(%(entries)s::bigint[]) as given (entry);

-- name: sendable
-- Of these entries, whose keys are locked by now, which are still as they were read; `is_current`: their links have not moved
-- either. Nothing new is sent while a call there is in doubt, but for one that was given up to a person, or while somebody
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
    on calls.call = outbox.call
where links.key = any(%(keys)s::text[]);

-- name: alive
-- Of these entries, whose keys are locked by now, which are still in one of these states (and of this call).
select outbox.entry
from cdc.outbox
where
    outbox.entry = any(%(entries)s::bigint[])
    and outbox.state = any(%(states)s::text[])
    and (%(call)s::uuid is null or outbox.call = %(call)s);

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
-- What a target has to do: something open that moves by itself, and something that could be done about it now.
select
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
    ) as is_ready;

-- name: open_counts
-- Open entries of a target by state.
select
    state,
    count(*) as entries
from cdc.outbox
where connection = %(connection)s
group by state;

-- name: wait_again
-- Ready entries whose reference is gone again.
update cdc.outbox
set
    state = 'waiting',
    changed_at = now()
where
    entry = any(%(entries)s)
    and state = 'ready';

-- name: tidy
-- Autovacuum comes by once a minute at most; until then a drain at full speed would leave a hundred thousand dead rows, look
-- past their index entries, and lay new rows at the end of a file that grows. The table is not cut off: that would need it alone.
vacuum (skip_locked, truncate false, parallel 0, skip_database_stats) cdc.outbox;

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
