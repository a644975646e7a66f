-- Merging records into a staging table. {table} is the staging table, {keys} builds its key columns as jsonb from `known`.
-- Order within one transaction: differing; for records that are not known: versions, COPY, tell_added; for all others, and
-- where that COPY met a record after all: make_incoming, clear_incoming, COPY, insert_new, lock_known, change_known.
-- Ids are sorted by their bytes wherever rows are made or locked.
-- The connection of a look by key comes from `asking` or `incoming`, never from a parameter: of a connection that is not in the
-- statistics yet the planner expects one row, and then any index that begins with the connection looks as good as the primary
-- key: each look read all that the new connection had (30 s for 8,000 records of two that were loaded for the first time).

-- name: generated_columns
-- The key columns of a staging table, in order. table: its name with schema.
select attribute.attname as name
from pg_catalog.pg_attribute as attribute
where
    attribute.attrelid = %(table)s::regclass
    and attribute.attgenerated = 's'
    and not attribute.attisdropped
order by attribute.attnum;

-- name: differing
-- Which records are worth sending, by their place among those asked: not known; of other content or form, or marked as
-- deleted. And whether the stream has bad records at all. ids, hashes: arrays as text, in one order.
with asking as materialized (
    select %(connection)s::text as connection
),

asked as (
    select
        incoming.place,
        known.id is null as is_unknown
    from asking
    cross join unnest(%(ids)s::text [], %(hashes)s::text []) with ordinality as incoming (id, content_hash, place)
    left join lateral (
        select
            held.id,
            held.content_hash,
            held.form,
            held.deleted_at
        from {table} as held
        where held.connection = asking.connection and held.id = incoming.id
        offset 0
    ) as known on true
    where
        known.id is null
        or known.content_hash <> incoming.content_hash
        or known.form <> %(form)s
        or known.deleted_at is not null
)

select
    coalesce(array_agg(asked.place) filter (where asked.is_unknown), '{{}}') as unknown,
    coalesce(array_agg(asked.place) filter (where not asked.is_unknown), '{{}}') as differing,
    exists (
        select from cdc.bad_records as bad
        where bad.connection = %(connection)s and bad.stream = %(stream)s
    ) as has_bad
from asked;

-- name: versions
-- So many numbers for records that will be added. count
select array_agg(nextval('cdc.version')) as versions
from generate_series(1, %(count)s);

-- name: tell_added
-- What follows from records that COPY has just added. ids: array as text.
-- History keeps no payload for them: every earlier state follows from the present one and the `before` of later changes.
with asking as materialized (
    select %(connection)s::text as connection
),

added as (
    select
        known.id,
        known.version,
        known.modified_at,
        {keys} as keys_after
    from asking
    cross join unnest(%(ids)s::text []) as incoming (id)
    cross join lateral (
        select held.*
        from {table} as held
        where held.connection = asking.connection and held.id = incoming.id
        offset 0
    ) as known
),

told as (
    insert into cdc.changes (connection, stream, id, version, keys_before, keys_after)
    select %(connection)s, %(stream)s, added.id, added.version, null, added.keys_after
    from added
)

insert into cdc.history (version, connection, stream, id, told_by, run, before, after, modified_at)
select added.version, %(connection)s, %(stream)s, added.id, %(told_by)s, %(run)s::uuid, null, null, added.modified_at
from added;

-- name: make_incoming
-- Once a session; emptied by each commit.
create temporary table if not exists incoming (
    connection text not null,
    id text not null,
    payload jsonb not null,
    content_hash text not null,
    modified_at timestamptz
) on commit delete rows;

-- name: clear_incoming
-- One transaction may merge several times.
delete from pg_temp.incoming;

-- name: insert_new
-- Records that are not known yet. Taken out of `incoming`; a record that another session inserts meanwhile stays in it.
with added as (
    insert into {table} as known (connection, id, payload, content_hash, form, modified_at, version)
    select
        incoming.connection,
        incoming.id,
        incoming.payload,
        incoming.content_hash,
        %(form)s,
        incoming.modified_at,
        nextval('cdc.version')
    from pg_temp.incoming
    where not exists (
        select from {table} as existing
        where existing.connection = incoming.connection and existing.id = incoming.id
    )
    order by incoming.id collate "C"
    on conflict do nothing
    returning known.id, known.version, known.modified_at, {keys} as keys_after
),

taken as (
    delete from pg_temp.incoming
    using added
    where incoming.id = added.id
),

told as (
    insert into cdc.changes (connection, stream, id, version, keys_before, keys_after)
    select %(connection)s, %(stream)s, added.id, added.version, null, added.keys_after
    from added
),

remembered as (
    insert into cdc.history (version, connection, stream, id, told_by, run, before, after, modified_at)
    select added.version, %(connection)s, %(stream)s, added.id, %(told_by)s, %(run)s::uuid, null, null, added.modified_at
    from added
),

asked as (
    insert into cdc.ask_again (connection, stream, id, reason)
    select %(connection)s, %(stream)s, added.id, 'only a poorer form is known'
    from added
    where %(form)s <> 'full'
    on conflict (connection, stream, id) do update set asked_at = clock_timestamp()
)

select count(*) as inserted
from added;

-- name: lock_known
-- The rows that may change, in one order for all sessions, so that two merges wait for each other instead of deadlocking.
select known.id
from {table} as known
inner join pg_temp.incoming on incoming.connection = known.connection and incoming.id = known.id
order by known.id collate "C"
for update of known;

-- name: change_known
-- Compares again, now with the rows locked, and decides for each record. asked_version: taken before the request left.
-- `same` writes at most the new hash; `older` and `crossed` keep what is known (crossed: ask again); `poorer` keeps lines
-- that a summary lacks; `taken` replaces, takes a version, and leaves a change and a history row.
with compared as (
    select
        incoming.connection,
        incoming.id,
        incoming.payload,
        incoming.content_hash,
        incoming.modified_at,
        known.payload as payload_before,
        known.form as form_before,
        known.deleted_at as deleted_before,
        {keys} as keys_before,
        case
            when %(form)s <> 'full' and known.form = 'full'
                then case
                    when incoming.modified_at is not distinct from known.modified_at
                        and incoming.modified_at is not null
                        and known.deleted_at is null
                        then 'poorer'
                    else 'poorer and newer'
                end
            when known.form = %(form)s
                and known.deleted_at is null
                and known.payload - %(noise)s::text [] = incoming.payload - %(noise)s::text []
                then 'same'
            when known.version <= %(asked_version)s then 'taken'
            when known.deleted_at is not null then 'crossed'
            when incoming.modified_at > known.modified_at then 'taken'
            when incoming.modified_at < known.modified_at then 'older'
            else 'crossed'
        end as verdict
    from pg_temp.incoming
    inner join {table} as known on known.connection = incoming.connection and known.id = incoming.id
),

rehashed as (
    update {table} as known
    set payload = compared.payload, content_hash = compared.content_hash
    from compared
    where known.connection = compared.connection and known.id = compared.id and compared.verdict = 'same'
),

taken as (
    update {table} as known
    set
        payload = compared.payload,
        content_hash = compared.content_hash,
        form = %(form)s,
        modified_at = compared.modified_at,
        version = nextval('cdc.version'),
        loaded_at = now(),
        deleted_at = null
    from compared
    where known.connection = compared.connection and known.id = compared.id and compared.verdict = 'taken'
    returning
        known.id,
        known.version,
        known.modified_at,
        known.payload as payload_after,
        {keys} as keys_after,
        compared.payload_before,
        compared.form_before,
        compared.keys_before,
        compared.deleted_before
),

differing as materialized (
    select
        taken.id,
        taken.version,
        taken.modified_at,
        taken.keys_before,
        taken.keys_after,
        taken.deleted_before,
        differences.before,
        differences.after,
        -- A record that came back, or that is of another form, differs in more than its fields.
        case when taken.deleted_before is null and taken.form_before = %(form)s then differences.fields end as fields
    from taken
    cross join lateral (
        select
            jsonb_object_agg(coalesce(old.key, new.key), old.value) filter (where old.key is not null) as before,
            jsonb_object_agg(coalesce(old.key, new.key), new.value) filter (where new.key is not null) as after,
            array_agg(coalesce(old.key, new.key) order by coalesce(old.key, new.key) collate "C") as fields
        from jsonb_each(taken.payload_before) as old
        full join jsonb_each(taken.payload_after) as new on new.key = old.key
        where old.value is distinct from new.value
    ) as differences
),

told as (
    insert into cdc.changes (connection, stream, id, version, keys_before, keys_after, fields)
    select
        %(connection)s,
        %(stream)s,
        differing.id,
        differing.version,
        differing.keys_before,
        differing.keys_after,
        differing.fields
    from differing
),

remembered as (
    insert into cdc.history (version, connection, stream, id, told_by, run, before, after, modified_at)
    select
        differing.version,
        %(connection)s,
        %(stream)s,
        differing.id,
        %(told_by)s,
        %(run)s::uuid,
        coalesce(differing.before, '{{}}'::jsonb)
        || case
            when differing.deleted_before is null then '{{}}'::jsonb
            else jsonb_build_object('_deleted_at', differing.deleted_before)
        end,
        coalesce(differing.after, '{{}}'::jsonb),
        differing.modified_at
    from differing
),

asked as (
    insert into cdc.ask_again (connection, stream, id, reason)
    select
        %(connection)s,
        %(stream)s,
        compared.id,
        case compared.verdict when 'crossed' then 'two answers crossed' else 'only a poorer form of the change came' end
    from compared
    where compared.verdict in ('crossed', 'poorer and newer')
    on conflict (connection, stream, id) do update set asked_at = clock_timestamp()
)

select
    count(*) filter (where compared.verdict = 'taken') as updated,
    count(*) filter (where compared.verdict = 'same') as unchanged,
    count(*) filter (where compared.verdict not in ('taken', 'same')) as stale
from compared;

-- name: touch
-- Records of another stream that a change here alters without moving their stamp: to be read again by id.
-- ids: of this page; asked_version: rows above it changed just now; path: SQL/JSON path to the other stream's ids.
insert into cdc.ask_again (connection, stream, id, reason)
select distinct
    %(connection)s,
    %(touched)s,
    touched_id #>> '{{}}',
    %(stream)s || ' changed'
from {table} as known
cross join lateral jsonb_path_query(known.payload, %(path)s::jsonpath) as touched_id
where
    known.connection = %(connection)s
    and known.id = any(%(ids)s::text [])
    and known.version > %(asked_version)s
    and jsonb_typeof(touched_id) in ('string', 'number')
on conflict (connection, stream, id) do update set asked_at = clock_timestamp();

-- name: mark_deleted
-- Records that the system was asked for and no longer has. before_version: rows that changed since are left alone.
with gone as (
    update {table} as known
    set deleted_at = now(), version = nextval('cdc.version')
    where
        known.connection = %(connection)s
        and known.id = any(%(ids)s::text [])
        and known.deleted_at is null
        and known.version < %(before_version)s
    returning known.id, known.version, known.deleted_at, {keys} as keys_before
),

told as (
    insert into cdc.changes (connection, stream, id, version, keys_before, keys_after)
    select %(connection)s, %(stream)s, gone.id, gone.version, gone.keys_before, null
    from gone
),

remembered as (
    insert into cdc.history (version, connection, stream, id, told_by, run, before, after)
    select
        gone.version,
        %(connection)s,
        %(stream)s,
        gone.id,
        %(told_by)s,
        %(run)s::uuid,
        '{{}}'::jsonb,
        jsonb_build_object('_deleted_at', gone.deleted_at)
    from gone
)

select count(*) as deleted
from gone;

-- name: keep_bad
-- A record that cannot be stored. Met again unchanged it is only dated anew, and that at most once an hour.
insert into cdc.bad_records as known (connection, stream, id, raw, reason, cure)
values (%(connection)s, %(stream)s, %(id)s, %(raw)s, %(reason)s, %(cure)s)
on conflict (connection, stream, id) do update
    set
        raw = excluded.raw,
        reason = excluded.reason,
        cure = excluded.cure,
        last_seen_at = now()
    where known.raw <> excluded.raw or known.last_seen_at < now() - interval '1 hour'
returning (known.first_seen_at = now() and known.last_seen_at = known.first_seen_at) as is_new;

-- name: forget_bad
-- Records that could be read this time.
delete from cdc.bad_records
where connection = %(connection)s and stream = %(stream)s and id = any(%(ids)s::text []);

-- name: save_cursor
-- The position after a page, in the transaction of the page. Writes nothing when neither position nor count moved.
-- (An upsert whose `where` is false locks the row all the same, which is a write: so it is looked at before.)
insert into cdc.cursors as known (connection, stream, cursor, rows_total)
select %(connection)s, %(stream)s, %(cursor)s::jsonb, %(inserted)s
where not exists (
    select from cdc.cursors as present
    where
        present.connection = %(connection)s
        and present.stream = %(stream)s
        and present.cursor is not distinct from coalesce(%(cursor)s::jsonb, present.cursor)
        and %(inserted)s = 0
)
on conflict (connection, stream) do update
    set
        cursor = coalesce(excluded.cursor, known.cursor),
        rows_total = known.rows_total + excluded.rows_total,
        updated_at = now()
    where
        known.cursor is distinct from coalesce(excluded.cursor, known.cursor)
        or excluded.rows_total <> 0;

-- name: tell
-- Wake whoever waits for changes, once the page has committed. A hint: who misses it looks by the clock.
select pg_notify('tieout_changes', %(stream)s);
