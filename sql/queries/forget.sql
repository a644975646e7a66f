-- Forgetting a person: where the person stands, and taking that out.

-- name: begin
-- The append-only tables let this transaction, and no other, take a person out.
select set_config('tieout.forgetting', %(forgetting)s, true);

-- name: staging_tables
-- Staging tables with those of their columns that lead from record to record.
select
    class.relname as name,
    array_agg(attribute.attname order by attribute.attnum) as columns
from pg_class as class
inner join pg_namespace as namespace on class.relnamespace = namespace.oid
inner join pg_attribute as attribute on class.oid = attribute.attrelid
where
    namespace.nspname = 'staging'
    and class.relkind = 'r'
    and attribute.attnum > 0
    and not attribute.attisdropped
group by class.relname
order by class.relname;

-- name: engine_tables
-- Tables of the engine in which a person may stand, with columns and types. Partitions are reached through their table, whose
-- triggers record what is changed.
select
    class.relname as name,
    array_agg(attribute.attname order by attribute.attnum) as columns,
    array_agg(format_type(attribute.atttypid, null) order by attribute.attnum) as types
from pg_class as class
inner join pg_namespace as namespace on class.relnamespace = namespace.oid
inner join pg_attribute as attribute on class.oid = attribute.attrelid
where
    namespace.nspname = 'cdc'
    and class.relkind in ('r', 'p')
    and not class.relispartition
    and attribute.attnum > 0
    and not attribute.attisdropped
    and attribute.attgenerated = ''
    and not class.relname = any(%(without)s::text[])
group by class.relname
order by class.relname;

-- name: link
-- Links of a key, or of the end of one.
select
    links.connection,
    links.entity,
    links.key,
    links.model,
    links.source_connection,
    links.source_id
from cdc.links
where links.key = %(key)s;

-- name: records_with
-- Mirrored records that show one of these texts.
select
    record.connection,
    record.id,
    record.payload,
    record.deleted_at
from {table} as record
where lower(record.payload::text) like any(%(patterns)s::text[]);

-- name: records_named
-- Mirrored records by id.
select
    record.connection,
    record.id,
    record.payload,
    record.deleted_at
from {table} as record
inner join unnest(%(connections)s::text[], %(ids)s::text[]) as given (connection, id)
    on
        record.connection = given.connection
        and record.id = given.id;

-- name: records_leading
-- Mirrored records whose key column names one of these.
select
    record.connection,
    record.id,
    record.payload,
    record.deleted_at
from {table} as record
inner join unnest(%(connections)s::text[], %(ids)s::text[]) as given (connection, id)
    on
        record.connection = given.connection
        and record.{column} = given.id;

-- name: history_of
-- What history keeps of records.
select
    history.before,
    history.after
from cdc.history
inner join unnest(%(connections)s::text[], %(streams)s::text[], %(ids)s::text[]) as given (connection, stream, id)
    on
        history.connection = given.connection
        and history.stream = given.stream
        and history.id = given.id;

-- name: history_with
-- Records in whose history one of these texts stands.
select distinct
    history.connection,
    history.stream,
    history.id
from cdc.history
where
    lower(history.before::text) like any(%(patterns)s::text[])
    or lower(history.after::text) like any(%(patterns)s::text[]);

-- name: links_of
-- Links of these texts and records. The driver of a model is a stream, or the text itself.
select
    links.link_id,
    links.connection,
    links.entity,
    links.key,
    links.model,
    links.source_connection,
    links.source_id,
    links.target_id
from cdc.links
left join cdc.models
    on links.model = models.model
where
    lower(links.key) like any(%(patterns)s::text[])
    or lower(links.source_id) like any(%(patterns)s::text[])
    or links.key = any(%(keys)s::text[])
    or (
        links.source_connection,
        coalesce(split_part(models.config ->> 'driver', '__', 2), ''),
        links.source_id
    ) in (
        select
            given.connection,
            given.stream,
            given.id
        from unnest(%(connections)s::text[], %(streams)s::text[], %(ids)s::text[]) as given (connection, stream, id)
    );

-- name: rows
-- Rows of a table that are the person's, or in which a text stands. {own}: whose they are; {blob}: binary columns.
select
    stored.ctid::text as place,
    stored.tableoid as part,
    to_jsonb(stored.*) as content,
    {own} as is_own
from {table} as stored
where
    {own}
    or lower(stored::text) like any(%(patterns)s::text[])
    or {blob}
for update of stored;

-- name: own_key
-- Rows by key.
((stored.connection, stored.entity, stored.key) in (
    select
        given.connection,
        given.entity,
        given.key
    from unnest(%(link_connections)s::text[], %(entities)s::text[], %(link_keys)s::text[]) as given (connection, entity, key)
))

-- name: own_record
-- Rows by record of a stream.
((stored.connection, stored.stream, stored.id) in (
    select
        given.connection,
        given.stream,
        given.id
    from unnest(%(connections)s::text[], %(streams)s::text[], %(ids)s::text[]) as given (connection, stream, id)
))

-- name: own_link
-- Rows by link.
(stored.link_id = any(%(link_ids)s::uuid[]))

-- name: own_keys
-- Calls by the keys that they carried.
(stored.keys && %(link_keys)s::text[])

-- name: own_nothing
-- A table without any of these.
(false)

-- name: blob
-- A binary column in which a text stands.
(exists (
    select 1
    from unnest(%(texts)s::text[]) as given (found)
    where
        position(convert_to(given.found, 'UTF8') in stored.{column}) > 0
))

-- name: change
-- A row without the person.
update {table} as stored
set {sets}
where
    stored.ctid = %(place)s::tid
    and stored.tableoid = %(part)s::oid;

-- name: clean_record
-- A mirrored record that its system no longer shows.
update {table} as record
set
    payload = %(payload)s,
    content_hash = 'forgotten'
where
    record.connection = %(connection)s
    and record.id = %(id)s;

-- name: note
-- That a person was forgotten, and nothing about who.
insert into cdc.forgettings (forgetting, forgotten_by, reason, counts)
values (%(forgetting)s, %(by)s, %(reason)s, %(counts)s);

-- name: note_records
-- From now on history keeps of these that they changed, not what the person's fields said.
insert into cdc.forgotten_records (connection, stream, id, forgetting, fields)
select
    given.connection,
    given.stream,
    given.id,
    %(forgetting)s,
    %(fields)s::text[]
from unnest(%(connections)s::text[], %(streams)s::text[], %(ids)s::text[]) as given (connection, stream, id)
on conflict (connection, stream, id) do nothing;

-- name: systems
-- Of which system each connection is.
select
    connection,
    system
from cdc.connections;

-- name: customer
-- Customers of that id.
select
    record.connection,
    record.id,
    record.payload,
    record.deleted_at
from {table} as record
where record.id = %(id)s;

-- name: open_calls
-- Calls with these keys whose outcome is not known yet.
select count(*) as calls
from cdc.calls
where
    keys && %(keys)s::text[]
    and settled_at is null;
