-- name: generic_plans
-- Plans of this session are made once, for any key: a large view takes longer to plan than to run for a key.
set plan_cache_mode = force_generic_plan;

-- name: work
-- What there is to do, without a look at any view. A row a model, or one without a model before the first build. unread: what
-- the model reads and whose first load is not at its end: of a part of the records it would say what is not so.
with state as materialized (
    select
        (select changes.seq from cdc.changes order by changes.seq limit 1) is not null as has_changes,
        exists (select 1 from cdc.outbox where outbox.operation = 'remove') as has_removals,
        array(
            select distinct outbox.connection
            from cdc.outbox
            where
                outbox.state = 'waiting'
                or (outbox.state = 'held' and outbox.held_for = 'problems' and outbox.cause = 'reference to nothing')
            order by outbox.connection
        ) as referring
)

select
    models.model,
    state.has_changes,
    state.has_removals,
    state.referring,
    coalesce(
        models.sweep_due
        -- `between`, so that only the index gives this order: with `=` keys of marts, and those just consumed, are read along.
        or (
            select changed_keys.model
            from cdc.changed_keys
            where changed_keys.model between models.model and models.model
            order by changed_keys.model, changed_keys.seq
            limit 1
        ) = models.model
        or exists (
            select 1
            from cdc.outbox
            where
                outbox.model = models.model
                and outbox.state = 'held'
                and outbox.held_for = 'guard'
                and outbox.cause = 'counting'
        ),
        false
    ) as is_waiting,
    array(
        select cursors.connection || ' ' || cursors.stream
        from cdc.cursors
        inner join cdc.connections on cursors.connection = connections.connection
        where
            cursors.history is not null
            and cursors.backfilled_at is null
            and models.config -> 'dirty'
            @> jsonb_build_array(jsonb_build_object('table', connections.system || '__' || cursors.stream))
        order by cursors.connection, cursors.stream
    ) as unread
from state
left join cdc.models on models.kind = 'outbound'
order by (models.config ->> 'position')::integer, models.model;

-- name: models_now
-- What changes about models while a build is in force.
select
    model,
    build,
    sweep_due,
    is_new,
    is_changed
from cdc.models
where
    kind = 'outbound'
    and model = any(%(names)s);

-- name: begin_round
-- Keep the set in force until this transaction ends. A server that dies may forget the last rounds whole, with the keys that
-- they consumed, and never one whose entry was sent (that commit waits for the disk, and all before it are there with it).
select
    set_config('synchronous_commit', 'off', true),
    pg_advisory_xact_lock_shared(%(key)s);

-- name: without_disk
-- Commit without waiting for the disk: a server that dies may forget what was held and let go, as above, and it is counted anew.
select set_config('synchronous_commit', 'off', true);

-- name: build_in_force
-- The set that is in force now.
select builds.build
from cdc.builds
where builds.switched_at is not null
order by builds.switched_at desc
limit 1;

-- name: lock_models
-- One diff at a time a model; waits, in the order given.
select pg_advisory_lock(given.key)
from unnest(%(keys)s::bigint[]) as given (key);

-- name: unlock_models
-- Give them back.
select pg_advisory_unlock(given.key)
from unnest(%(keys)s::bigint[]) as given (key);

-- name: drivers
-- Consume the oldest changed keys of a model. Many changes often lead to one driving record (a document, its payment, its
-- contact): it is looked at once for all that stand near the front. `changes`: how many were consumed for each. `build`: the set
-- that is in force now; a row with no driving record when there is none.
with oldest as (
    select
        ctid as place,
        seq,
        source_connection,
        source_id
    from cdc.changed_keys
    where model = %(model)s
    order by seq
    limit %(ahead)s * %(limit)s::bigint
),

chosen as (
    select
        oldest.source_connection,
        oldest.source_id,
        count(*) as changes,
        array_agg(oldest.place) as places
    from oldest
    group by oldest.source_connection, oldest.source_id
    order by min(oldest.seq)
    limit %(limit)s::bigint
),

gone as (
    -- By their place: a plan that was made when there were a few keys looked through all for each.
    delete from cdc.changed_keys
    where changed_keys.ctid = any(array(select unnest(chosen.places) from chosen))
)

select
    in_force.build,
    chosen.source_connection,
    chosen.source_id,
    chosen.changes
from (
    select max(latest.build) as build
    from (
        select builds.build
        from cdc.builds
        where builds.switched_at is not null
        order by builds.switched_at desc
        limit 1
    ) as latest
) as in_force
left join chosen
    on true
order by chosen.source_connection, chosen.source_id;

-- name: keys_left
-- How many changed keys of a model wait.
select count(*) as changes
from cdc.changed_keys
where model = %(model)s;

-- name: begin_sweep
-- A sweep looks at everything, so the changed keys up to now are in it; a sweep that dies stays due.
with due as (
    update cdc.models
    set sweep_due = true
    where
        model = %(model)s
        and not sweep_due
)

delete from cdc.changed_keys
where model = %(model)s;

-- name: mark_of_model
-- Which version of the model's row a sweep began with.
select xmin::text as mark
from cdc.models
where model = %(model)s;

-- name: begin_proof
-- A sweep that is not due changes nothing: keys that arrive meanwhile announce what it may find.
select model
from cdc.models
where model = %(model)s;

-- name: end_sweep
-- The sweep is complete, unless something made another one due meanwhile.
update cdc.models
set
    sweep_due = false,
    is_changed = false,
    swept_at = now(),
    missed = %(missed)s::jsonb || jsonb_build_object('at', now())
where
    model = %(model)s
    and xmin::text = %(mark)s;

-- name: analyze_sweep
-- So many are there now.
analyze sweep_drivers;

-- name: unannounced
-- Keys whose driving records no changed key names.
select given.key
from unnest(
    %(source_connections)s::text[], %(source_ids)s::text[], %(keys)s::text[]
) as given (source_connection, source_id, key)
where not exists (
    select 1
    from cdc.changed_keys
    where
        changed_keys.model = %(model)s
        and changed_keys.source_connection = given.source_connection
        and changed_keys.source_id = given.source_id
)
order by given.key;

-- name: sweep_table
-- Room for the drivers of a sweep.
create temporary table if not exists sweep_drivers (
    position bigint generated always as identity primary key,
    source_connection text,
    source_id text,
    undriven text
);

-- name: clear_sweep
-- Empty it for the next model.
truncate sweep_drivers restart identity;

-- name: sweep_drivers
-- All driving records: those of the view, and those that links remember. `undriven`: the key ('' for none) of a row of the
-- view that names no driving record, key or target: it could never be looked at again.
insert into sweep_drivers (source_connection, source_id, undriven)
select
    driver.source_connection,
    driver.source_id,
    min(driver.undriven)
from (
    select
        outbound._source_connection as source_connection,
        outbound._source_id as source_id,
        case
            when
                outbound._source_connection is null
                or outbound._source_id is null
                or outbound._key is null
                or outbound._to is null
                then coalesce(outbound._key, '')
        end as undriven
    from {view} as outbound
    union all
    select
        links.source_connection,
        links.source_id,
        null
    from cdc.links
    where links.model = %(model)s
) as driver
group by driver.source_connection, driver.source_id
order by driver.source_connection, driver.source_id;

-- name: undriven
-- A row that names no driving record, found by the sweep.
select nullif(undriven, '') as key
from sweep_drivers
where undriven is not null
limit 1;

-- name: sweep_range
-- The drivers of one range of a sweep.
select
    source_connection,
    source_id
from sweep_drivers
where
    position > %(after)s
    and position <= %(until)s
order by position;

-- name: is_empty
-- Does the view give no row at all?
select not exists (
    select 1
    from {view} as outbound
) as is_empty;

-- name: line_join
-- One child model, nested by key, for `candidates`.
left join lateral (
    select
        jsonb_agg(
            jsonb_strip_nulls(
                to_jsonb(line.*) - '{{_source_connection,_source_id,_key,_line_order,_problems}}'::text[]
            )
            order by line._line_order, line._line
        ) as rows,
        jsonb_path_query_array(
            coalesce(jsonb_agg(line._problems) filter (where line._problems is not null), '[]'::jsonb), '$[*][*]'
        ) as problems,
        count(*) - count(distinct line._line) as repeated
    from {view} as line
    where
        line._source_connection = driver.source_connection
        and line._source_id = driver.source_id
        and line._key = wanted.content ->> '_key'
    offset 0
) as {alias} on true

-- name: once
-- What a record and its lines are both made from, for one driver, at the beginning of a query.
with {name} as materialized (
    select shared.*
    from {relation} as shared
    where
        shared.{connection} = driver.source_connection
        and shared.{id} = driver.source_id
        {only}
)

-- name: candidates
-- Rows of the model, for the given drivers, that differ from what the links say; and links whose row is not there.
with driver as (
    select distinct
        given.source_connection,
        given.source_id
    from unnest(%(source_connections)s::text[], %(source_ids)s::text[]) as given (source_connection, source_id)
),

desired as materialized (
    select
        driver.source_connection,
        driver.source_id,
        wanted.content ->> '_to' as connection,
        wanted.content ->> '_key' as key,
        wanted.content,
        jsonb_strip_nulls(wanted.content - %(control)s::text[] || wanted.lines) as payload,
        wanted.line_problems,
        wanted.repeated_lines,
        count(*) over (
            partition by wanted.content ->> '_to', wanted.content ->> '_key'
        ) as copies
    from driver
    cross join lateral (
        {once}
        select
            wanted.content,
            {lines} as lines,
            {line_problems} as line_problems,
            {repeated} as repeated_lines
        from (
            select to_jsonb(outbound.*) as content
            from {view} as outbound
            where
                outbound._source_connection = driver.source_connection
                and outbound._source_id = driver.source_id
            offset 0
        ) as wanted
        {line_joins}
    ) as wanted
),

differing as (
    select desired.*
    from desired
    left join cdc.links
        on
            links.connection = desired.connection
            and links.entity = %(entity)s
            and links.key = desired.key
    left join cdc.outbox
        on
            outbox.connection = desired.connection
            and outbox.entity = %(entity)s
            and outbox.key = desired.key
    left join {mirror} as mirror
        on
            mirror.connection = links.connection
            and mirror.id = links.target_id
    left join cdc.drift
        on
            drift.connection = desired.connection
            and drift.entity = %(entity)s
            and drift.key = desired.key
    where
        desired.copies > 1
        or desired.repeated_lines > 0
        or outbox.entry is not null
        or drift.key is not null
        or (
            links.key is null
            and desired.content ->> '_skip' is null
            and desired.content ->> '_gone' is null
        )
        or (
            links.key is not null
            and (
                links.model <> %(model)s
                or links.source_connection <> desired.source_connection
                or links.source_id <> desired.source_id
                or (links.reversal is not null and links.target_id is not null and not links.is_gone)
                or (
                    desired.content ->> '_skip' is not null
                    and links.target_id is not null
                    and not links.is_gone
                    and links.said is distinct from desired.payload
                )
                or (
                    desired.content ->> '_skip' is null
                    and (
                        links.said is distinct from desired.payload
                        or desired.content ->> '_gone' is not null
                        or links.is_gone
                        or links.reversal is not null
                        or links.if_taken
                        or links.overrides <> '{{}}'::jsonb
                        or links.yielded <> '{{}}'::jsonb
                        or links.two_way <> '{{}}'::jsonb
                        or links.followed_id is not null
                        or mirror.version > coalesce(links.mirror_version, 0)
                        or (
                            links.identity is distinct from desired.content -> '_identity'
                            and desired.content ->> '_identity' is not null
                        )
                    )
                )
            )
        )
),

vanished as (
    select
        links.source_connection,
        links.source_id,
        links.connection,
        links.key
    from driver
    inner join cdc.links
        on
            links.model = %(model)s
            and links.source_connection = driver.source_connection
            and links.source_id = driver.source_id
    left join cdc.outbox
        on
            outbox.connection = links.connection
            and outbox.entity = links.entity
            and outbox.key = links.key
    left join cdc.drift
        on
            drift.connection = links.connection
            and drift.entity = links.entity
            and drift.key = links.key
    where
        ((links.target_id is not null and not links.is_gone) or outbox.entry is not null or drift.key is not null)
        and not exists (
            select 1
            from desired
            where
                desired.connection = links.connection
                and desired.key = links.key
        )
)

select
    connection,
    key,
    source_connection,
    source_id,
    false as is_vanished,
    copies,
    repeated_lines,
    content ->> '_skip' as skip,
    content ->> '_hold' as hold,
    content ->> '_gone' as gone,
    coalesce(content -> '_problems', '[]'::jsonb) as problems,
    line_problems,
    content ->> '_total' as total,
    content ->> '_currency' as currency,
    content ->> '_date' as day,
    content -> '_if_taken' as if_taken,
    content -> '_after' as after,
    content -> '_expect' as expect,
    content -> '_identity' as identity,
    content -> '_both_ways' as both_ways,
    payload,
    pg_current_snapshot()::text as snapshot,
    (select version.last_value from cdc.version) as read_at
from differing
union all
select
    connection,
    key,
    source_connection,
    source_id,
    true,
    1,
    0,
    null,
    null,
    null,
    '[]'::jsonb,
    '[]'::jsonb,
    null,
    null,
    null,
    null,
    null,
    null,
    null,
    null,
    null,
    pg_current_snapshot()::text,
    (select version.last_value from cdc.version)
from vanished
order by 1, 2;

-- name: still_there
-- Keys that another driving record of the same model gives as well.
select
    outbound._key as key,
    given.source_id
from unnest(
    %(source_connections)s::text[], %(source_ids)s::text[], %(keys)s::text[]
) as given (source_connection, source_id, key)
cross join lateral (
    select candidate._key
    from {view} as candidate
    where
        candidate._source_connection = given.source_connection
        and candidate._source_id = given.source_id
    offset 0
) as outbound
where outbound._key = given.key
limit 1;

-- name: drift
-- Remember a difference on a document that may no longer change.
insert into cdc.drift (
    connection, entity, key, model, frozen_because, desired, fields, amount_effect, currency, effects, payload_hash, document_date
)
select
    given.connection,
    given.entity,
    given.key,
    given.model,
    given.frozen_because,
    given.desired,
    array(select jsonb_array_elements_text(given.fields)),
    given.amount - (
        select last.amount
        from (
            select
                done.entry,
                done.amount
            from cdc.outbox_done as done
            where
                done.connection = given.connection
                and done.entity = given.entity
                and done.key = given.key
                and done.outcome in ('applied', 'unchanged', 'satisfied')
            union all
            -- What is kept of archived months.
            select
                kept.entry,
                kept.amount
            from cdc.last_entries as kept
            where
                kept.connection = given.connection
                and kept.entity = given.entity
                and kept.key = given.key
        ) as last
        order by last.entry desc
        limit 1
    ),
    given.currency,
    given.effects,
    given.payload_hash,
    given.day
from jsonb_to_recordset(%(rows)s) as given (
    connection text,
    entity text,
    key text,
    model text,
    frozen_because text,
    desired jsonb,
    fields jsonb,
    amount numeric,
    currency text,
    effects jsonb,
    payload_hash text,
    day date
)
on conflict (connection, entity, key) do update
    set
        model = excluded.model,
        frozen_because = excluded.frozen_because,
        desired = excluded.desired,
        fields = excluded.fields,
        amount_effect = excluded.amount_effect,
        currency = excluded.currency,
        effects = excluded.effects,
        payload_hash = excluded.payload_hash,
        document_date = excluded.document_date
returning drift.connection, drift.key, (drift.xmax = 0) as is_new;

-- name: no_drift
-- These differences are gone.
delete from cdc.drift
using unnest(%(connections)s::text[], %(keys)s::text[]) as given (connection, key)
where
    drift.connection = given.connection
    and drift.entity = %(entity)s
    and drift.key = given.key;

-- name: is_mirrored
-- Is there such a staging table? Parameter: table (with its schema).
select to_regclass(%(table)s) is not null as is_mirrored;

-- name: organisation
-- What the target says about itself, lock dates among it.
select
    connection,
    payload
from {table}
where deleted_at is null;
