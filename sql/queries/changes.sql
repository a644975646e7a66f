-- name: lock
-- One at a time, until the transaction ends. key: bigint.
select pg_advisory_xact_lock(%(key)s);

-- name: begin_round
-- One fan-out at a time: a second one waits, so that what it finds done is committed. A server that dies may forget the last
-- rounds whole, with the changes that they consumed: so the commit waits for no disk. The set in force stays until the round
-- ends: a change is judged by what the models of one set read, and a set that comes later looks at all rows of what it changes.
select
    set_config('synchronous_commit', 'off', true),
    pg_advisory_xact_lock(%(key)s),
    pg_advisory_xact_lock_shared(%(set_key)s);

-- name: prepare
-- Room for one round of changes.
create temporary table if not exists fan_out_round (
    connection text not null,
    system text,
    stream text not null,
    id text not null,
    keys_before jsonb,
    keys_after jsonb,
    fields text[]
);

-- name: clear
-- What the last round left. With `on commit delete rows` each round waited for the disk, whatever its commit waited for: Postgres
-- cuts the files of the table off and builds the index of its long values anew.
delete from fan_out_round;

-- name: cut_off
-- The same, with the room of what was deleted before.
truncate fan_out_round;

-- name: mark_of_models
-- Another one whenever a model, a rule of it, or what it reads, may be another one.
select coalesce(md5(string_agg(model || ' ' || xmin::text, ',' order by model)), '') as mark
from cdc.models;

-- name: reads
-- What each model reads of the mirrored records.
select
    models.model,
    models.reads
from cdc.models as models;

-- name: take
-- Consume the oldest changes. Of a change of a key column every field counts as changed, and so where a name is not one that
-- what a model reads is listed by.
-- Up to a number, not number by number: a plan that was made when there were a few looked through all for each.
with last as (
    select max(oldest.seq) as seq
    from (
        select seq
        from cdc.changes
        order by seq
        limit %(limit)s::bigint
    ) as oldest
),

gone as (
    delete from cdc.changes
    using last
    where changes.seq <= last.seq
    returning changes.connection, changes.stream, changes.id, changes.keys_before, changes.keys_after, changes.fields
)

insert into fan_out_round (connection, system, stream, id, keys_before, keys_after, fields)
select
    gone.connection,
    connections.system,
    gone.stream,
    gone.id,
    gone.keys_before,
    gone.keys_after,
    case
        when gone.keys_before is distinct from gone.keys_after then null
        when exists (select 1 from unnest(gone.fields) as field (name) where field.name !~ '^[A-Za-z0-9_]+$') then null
        else gone.fields
    end as fields
from gone
left join cdc.connections
    on gone.connection = connections.connection;

-- name: tables
-- The staging tables that changed in this round, and in which fields; system is null for a connection that was never connected.
select
    connection,
    system,
    stream,
    fields,
    count(*) as changes
from fan_out_round
group by connection, system, stream, fields;

-- name: by_self
-- The changed record drives the models. fields (here and below): what the models read of the record; null: any.
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
    from fan_out_round
    where
        system = %(system)s
        and stream = %(stream)s
        and (%(fields)s::text[] is null or fields is null or fields && %(fields)s::text[])
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
        fan_out_round.connection,
        key.value
    from fan_out_round
    cross join lateral (
        values
        (fan_out_round.keys_before ->> %(column)s),
        (fan_out_round.keys_after ->> %(column)s)
    ) as key (value)
    where
        fan_out_round.system = %(system)s
        and fan_out_round.stream = %(stream)s
        and (%(fields)s::text[] is null or fan_out_round.fields is null or fan_out_round.fields && %(fields)s::text[])
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
    from fan_out_round
    inner join cdc.links
        on
            links.connection = fan_out_round.connection
            and links.entity = %(entity)s
            and (links.target_id = fan_out_round.id or links.followed_id = fan_out_round.id)
    where
        fan_out_round.system = %(system)s
        and fan_out_round.stream = %(stream)s
        and (%(fields)s::text[] is null or fan_out_round.fields is null or fan_out_round.fields && %(fields)s::text[])
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
    from fan_out_round
    where
        system = %(system)s
        and stream = %(stream)s
        and (%(fields)s::text[] is null or fields is null or fields && %(fields)s::text[])
    union
    select
        connection,
        id,
        keys_after as keys
    from fan_out_round
    where
        system = %(system)s
        and stream = %(stream)s
        and (%(fields)s::text[] is null or fields is null or fields && %(fields)s::text[])
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
from fan_out_round
inner join cdc.links
    on
        links.connection = fan_out_round.connection
        and links.entity = any(%(entities)s)
        and (links.target_id = fan_out_round.id or links.followed_id = fan_out_round.id)
where
    fan_out_round.system = %(system)s
    and fan_out_round.stream = %(stream)s
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
    left join fan_out_round as changed
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
