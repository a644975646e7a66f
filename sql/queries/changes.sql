-- name: lock
-- One fan-out at a time: a second one waits, so that what it finds done is committed. A server that dies may forget the last
-- rounds whole, with the changes that they consumed: so the commit waits for no disk.
select
    set_config('synchronous_commit', 'off', true),
    pg_advisory_xact_lock(%(key)s);

-- name: prepare
-- Room for one round of changes.
create temporary table if not exists fan_out_changes (
    connection text not null,
    system text,
    stream text not null,
    id text not null,
    keys_before jsonb,
    keys_after jsonb
) on commit delete rows;

-- name: mark_of_models
-- Another one whenever a model, or a rule of it, may be another one.
select coalesce(md5(string_agg(model || ' ' || xmin::text, ',' order by model)), '') as mark
from cdc.models;

-- name: take
-- Consume the oldest changes.
with oldest as (
    select seq
    from cdc.changes
    order by seq
    limit %(limit)s::bigint
),

gone as (
    delete from cdc.changes
    using oldest
    where changes.seq = oldest.seq
    returning changes.connection, changes.stream, changes.id, changes.keys_before, changes.keys_after
)

insert into fan_out_changes (connection, system, stream, id, keys_before, keys_after)
select
    gone.connection,
    connections.system,
    gone.stream,
    gone.id,
    gone.keys_before,
    gone.keys_after
from gone
left join cdc.connections
    on gone.connection = connections.connection;

-- name: tables
-- The staging tables that changed in this round; system is null for a connection that was never connected.
select distinct
    connection,
    system,
    stream
from fan_out_changes;

-- name: by_self
-- The changed record drives the models.
insert into cdc.changed_keys (model, source_connection, source_id, because)
select
    following.model,
    found.connection,
    found.id,
    %(because)s
from (
    select distinct
        connection,
        id
    from fan_out_changes
    where
        system = %(system)s
        and stream = %(stream)s
) as found
cross join unnest(%(models)s::text[]) as following (model);

-- name: by_column
-- A key column names the driver, before and after.
insert into cdc.changed_keys (model, source_connection, source_id, because)
select
    following.model,
    found.connection,
    found.value,
    %(because)s
from (
    select distinct
        fan_out_changes.connection,
        key.value
    from fan_out_changes
    cross join lateral (
        values
        (fan_out_changes.keys_before ->> %(column)s),
        (fan_out_changes.keys_after ->> %(column)s)
    ) as key (value)
    where
        fan_out_changes.system = %(system)s
        and fan_out_changes.stream = %(stream)s
        and key.value is not null
) as found
cross join unnest(%(models)s::text[]) as following (model);

-- name: by_link
-- The changed record is one of the target's: its link names the driver.
insert into cdc.changed_keys (model, source_connection, source_id, because)
select
    following.model,
    found.source_connection,
    found.source_id,
    %(because)s
from (
    select distinct
        links.source_connection,
        links.source_id
    from fan_out_changes
    inner join cdc.links
        on
            links.connection = fan_out_changes.connection
            and links.entity = %(entity)s
            and (links.target_id = fan_out_changes.id or links.followed_id = fan_out_changes.id)
    where
        fan_out_changes.system = %(system)s
        and fan_out_changes.stream = %(stream)s
) as found
cross join unnest(%(models)s::text[]) as following (model);

-- name: by_sql
-- The model's own query over `changed` names the drivers; it sees the keys before and after.
insert into cdc.changed_keys (model, source_connection, source_id, because)
with changed as (
    select
        connection,
        id,
        keys_before as keys
    from fan_out_changes
    where
        system = %(system)s
        and stream = %(stream)s
    union
    select
        connection,
        id,
        keys_after as keys
    from fan_out_changes
    where
        system = %(system)s
        and stream = %(stream)s
)

select
    following.model,
    driver.source_connection,
    driver.source_id,
    %(because)s
from (
    select distinct
        found.source_connection::text as source_connection,
        found.source_id::text as source_id
    from ({rule}) as found
    where
        found.source_connection is not null
        and found.source_id is not null
) as driver
cross join unnest(%(models)s::text[]) as following (model);

-- name: sweep
-- The change may concern any row: the whole model is looked at again.
update cdc.models
set sweep_due = true
where model = any(%(models)s);

-- name: by_target
-- What changed in a target leads to the keys that we linked there, unasked.
insert into cdc.changed_keys (model, source_connection, source_id, because)
select distinct
    links.model,
    links.source_connection,
    links.source_id,
    %(because)s
from fan_out_changes
inner join cdc.links
    on
        links.connection = fan_out_changes.connection
        and links.entity = any(%(entities)s)
        and (links.target_id = fan_out_changes.id or links.followed_id = fan_out_changes.id)
where
    fan_out_changes.system = %(system)s
    and fan_out_changes.stream = %(stream)s
    and links.model <> 'corrections';

-- name: cure
-- A rejection that this stream, or the record of it that was in the way, may have cured is worth one more try.
with worth as (
    select distinct
        links.connection,
        links.entity,
        links.key
    from cdc.links
    cross join lateral jsonb_array_elements_text(links.rejected_on) as needed (name)
    left join fan_out_changes as changed
        on
            changed.connection = links.connection
            and changed.stream = %(stream)s
            and %(stream)s || ':' || changed.id = needed.name
    where
        links.connection = %(connection)s
        and links.rejected_on is not null
        and (needed.name = %(stream)s or changed.id is not null)
),

cured as (
    update cdc.links
    set
        rejected_hash = null,
        rejected_on = null,
        updated_at = now()
    from worth
    where
        links.connection = worth.connection
        and links.entity = worth.entity
        and links.key = worth.key
    returning links.connection, links.entity, links.key, links.model, links.source_connection, links.source_id
),

again as (
    -- No model makes the parts of a correction anew: they are sent once more as they are.
    update cdc.outbox
    set
        state = 'waiting',
        held_for = null,
        cause = null,
        reason = null,
        cure = null,
        who = null,
        changed_at = now()
    from cured
    where
        cured.model = 'corrections'
        and outbox.connection = cured.connection
        and outbox.entity = cured.entity
        and outbox.key = cured.key
        and (outbox.state = 'rejected' or outbox.held_for = 'conflict')
)

insert into cdc.changed_keys (model, source_connection, source_id, because)
select
    model,
    source_connection,
    source_id,
    'the target may have been cured: ' || %(stream)s
from cured
where model <> 'corrections';
