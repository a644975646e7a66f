-- Computing a past payload again: the models and lookups of then, over the records as they were then. All relations made here
-- are temporary, and the transaction is rolled back.

-- name: entry
-- An entry, finished or open.
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
    build,
    origin,
    created_at,
    true as is_done
from cdc.outbox_done
where
    (%(entry)s::bigint is null or entry = %(entry)s)
    and (%(key)s::text is null or key = %(key)s)
    and (%(connection)s::text is null or connection = %(connection)s)
    and (%(entity)s::text is null or entity = %(entity)s)
union all
select
    entry,
    connection,
    entity,
    key,
    model,
    source_connection,
    source_id,
    operation,
    state,
    payload,
    build,
    origin,
    created_at,
    false
from cdc.outbox
where
    (%(entry)s::bigint is null or entry = %(entry)s)
    and (%(key)s::text is null or key = %(key)s)
    and (%(connection)s::text is null or connection = %(connection)s)
    and (%(entity)s::text is null or entity = %(entity)s)
order by entry;

-- name: moved
-- Records of a stream that changed since a reading: which rows of history it did not see.
create temporary table {moved} on commit drop as
select
    history.connection,
    history.id,
    history.version,
    history.before,
    history.after
from cdc.history
inner join cdc.connections
    on
        history.connection = connections.connection
        and connections.system = %(system)s
where
    history.stream = %(stream)s
    and (
        history.version > %(version)s
        or (history.txid is not null and not pg_visible_in_snapshot(history.txid, %(snapshot)s::pg_snapshot))
    );

-- name: then_table
-- Room for those records as they were.
create temporary table {then_table} (like {table} including defaults including generated including indexes) on commit drop;

-- name: find_moved
-- Each record of the staging table asks whether it is among those that changed.
create index on {moved} (connection, id);

-- name: count_moved
-- The planner must know how few they are.
analyze {moved}, {then_table};

-- name: fill_then
-- The records as they were. Of each field the first change that the reading did not see tells what stood there before.
insert into {then_table} (connection, id, payload, content_hash, form, modified_at, version, loaded_at, deleted_at)
with first_change as (
    select distinct on (moved.connection, moved.id)
        moved.connection,
        moved.id,
        moved.before
    from {moved} as moved
    order by moved.connection, moved.id, moved.version
),

field as (
    select distinct on (moved.connection, moved.id, touched.name)
        moved.connection,
        moved.id,
        touched.name,
        coalesce(moved.before, '{{}}'::jsonb) -> touched.name as was,
        coalesce(moved.before, '{{}}'::jsonb) ? touched.name as was_there
    from {moved} as moved
    cross join lateral (
        select jsonb_object_keys(coalesce(moved.before, '{{}}'::jsonb)) as name
        union
        select jsonb_object_keys(coalesce(moved.after, '{{}}'::jsonb))
    ) as touched
    order by moved.connection, moved.id, touched.name, moved.version
),

fields as (
    select
        field.connection,
        field.id,
        array_agg(field.name) as names,
        coalesce(
            jsonb_object_agg(field.name, field.was) filter (where field.was_there and field.name <> '_deleted_at'), '{{}}'::jsonb
        ) as was,
        bool_or(field.name = '_deleted_at') as is_deletion_known,
        bool_or(field.name = '_deleted_at' and field.was_there) as was_deleted
    from field
    group by field.connection, field.id
)

select
    known.connection,
    known.id,
    (known.payload - coalesce(fields.names, '{{}}'::text[])) || coalesce(fields.was, '{{}}'::jsonb),
    known.content_hash,
    known.form,
    known.modified_at,
    coalesce(
        (
            select max(seen.version)
            from cdc.history as seen
            where
                seen.stream = %(stream)s
                and seen.connection = known.connection
                and seen.id = known.id
                and seen.version < (
                    select min(moved.version)
                    from {moved} as moved
                    where
                        moved.connection = known.connection
                        and moved.id = known.id
                )
        ),
        0
    ),
    known.loaded_at,
    case
        when not coalesce(fields.is_deletion_known, false) then known.deleted_at
        when fields.was_deleted then known.loaded_at
    end
from {table} as known
inner join first_change
    on
        known.connection = first_change.connection
        and known.id = first_change.id
left join fields
    on
        known.connection = fields.connection
        and known.id = fields.id
where first_change.before is not null;

-- name: then_view
-- The whole staging table as it was: what changed since stands beside what did not.
create temporary view {name} as
select {columns}
from {table} as still
where not exists (
    select 1
    from {moved} as moved
    where
        moved.connection = still.connection
        and moved.id = still.id
)
union all
select {columns}
from {then_table};

-- name: links_moved
-- Links that changed since a reading, as they were before their first change.
create temporary table links_then on commit drop as
select distinct on (changed.link_id)
    changed.link_id,
    changed.before
from cdc.links_before as changed
where
    changed.version > %(version)s
    or not pg_visible_in_snapshot(changed.txid, %(snapshot)s::pg_snapshot)
order by changed.link_id, changed.version;

-- name: links_view
-- Links as they were, as far as models read them.
create temporary view {name} as
select {columns}
from cdc.links as still
where
    not exists (
        select 1
        from pg_temp.links_then as changed
        where changed.link_id = still.link_id
    )
union all
select {columns}
from (
    select (jsonb_populate_record(
        known,
        '{{"target_id": null, "followed_id": null, "is_gone": false, "said": null}}'::jsonb || changed.before
    )).*
    from pg_temp.links_then as changed
    inner join cdc.links as known on changed.link_id = known.link_id
) as changed_links;

-- name: columns
-- The columns of a table, in order.
select attribute.attname as name
from pg_attribute as attribute
where
    attribute.attrelid = %(table)s::regclass
    and attribute.attnum > 0
    and not attribute.attisdropped
order by attribute.attnum;

-- name: lookup
-- A lookup as it was: all columns are text.
create temporary table {name} on commit drop as
select {columns}
from jsonb_to_recordset({rows}) as given ({typed});

-- name: model
-- A model as it was.
create temporary view {name} as
{text};

-- name: rows
-- The row of a model for a driving record, as the diff read it.
select
    wanted.content,
    jsonb_strip_nulls(wanted.content - %(control)s::text[] || {lines}) as payload
from (
    select
        %(source_connection)s::text as source_connection,
        %(source_id)s::text as source_id
) as driver
cross join lateral (
    select to_jsonb(outbound.*) as content
    from {view} as outbound
    where
        outbound._source_connection = driver.source_connection
        and outbound._source_id = driver.source_id
    offset 0
) as wanted
{line_joins}
where
    wanted.content ->> '_key' = %(key)s
    and wanted.content ->> '_to' = %(connection)s;
