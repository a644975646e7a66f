-- Where each stream stands, what must be asked again, and what a sweep saw.

-- name: position
-- The cursor of a stream, how far back its history is read, and whether it was ever read to its end.
select
    cursors.cursor,
    cursors.history,
    cursors.history_rows,
    cursors.history_pages,
    cursors.history_left,
    cursors.history_seconds,
    cursors.backfilled_at is not null as is_backfilled
from cdc.cursors
where cursors.connection = %(connection)s and cursors.stream = %(stream)s;

-- name: note_history
-- A page of the history, in the transaction that merges it. is_anew: the first one; history: the position behind it, null keeps
-- the one before; rows, left_over, seconds: of this page.
insert into cdc.cursors as known
    (connection, stream, history, history_rows, history_pages, history_left, history_seconds)
values (%(connection)s, %(stream)s, %(history)s::jsonb, %(rows)s, 1, %(left_over)s, %(seconds)s)
on conflict (connection, stream) do update
    set
        history = coalesce(excluded.history, case when not %(is_anew)s::boolean then known.history end),
        history_rows = excluded.history_rows + case when %(is_anew)s::boolean then 0 else known.history_rows end,
        history_pages = excluded.history_pages + case when %(is_anew)s::boolean then 0 else known.history_pages end,
        history_seconds = excluded.history_seconds + case when %(is_anew)s::boolean then 0 else known.history_seconds end,
        history_left = excluded.history_left,
        updated_at = now();

-- name: histories
-- First backfills that go on; connection: of this one, null for all.
select
    cursors.connection,
    cursors.stream,
    cursors.history_rows,
    cursors.history_pages,
    cursors.history_left,
    cursors.history_seconds,
    cursors.backfilled_at is null as is_first
from cdc.cursors
where
    cursors.history is not null
    and (%(connection)s::text is null or cursors.connection = %(connection)s)
order by cursors.connection, cursors.stream;

-- name: begin
-- The database's time and the number that mark the beginning of a load. From here on the session of the load does not wait for
-- the disk after each page: what a crash of the server takes, it takes together with the position behind it, and whatever was
-- made of it meanwhile (an entry, a call) waits for the disk itself, which lets nothing that was written before it go missing.
-- Large payloads are compressed with lz4 where the server has it: a small part of the time that pglz takes, either way. A choice of
-- the session, not of the column: so a backup can be restored to a server without it.
select
    now() as began_at,
    nextval('cdc.version') as began_version,
    set_config('synchronous_commit', 'off', false) as waits_for_disk,
    (
        select set_config(settings.name, 'lz4', false)
        from pg_catalog.pg_settings as settings
        where settings.name = 'default_toast_compression' and 'lz4' = any(settings.enumvals)
    ) as compresses_with;

-- name: reached_end
-- The load that began then has read to the end, the history with it: everything older is mirrored.
-- It waits for the disk, and with it for all pages of the load: whoever is told that a load is done may rely on it.
insert into cdc.cursors as known (connection, stream, backfilled_at, loaded_from, loaded_version)
select
    %(connection)s,
    %(stream)s,
    now(),
    %(began_at)s,
    %(began_version)s
where set_config('synchronous_commit', 'on', true) = 'on'
on conflict (connection, stream) do update
    set
        backfilled_at = coalesce(known.backfilled_at, excluded.backfilled_at),
        loaded_from = excluded.loaded_from,
        loaded_version = excluded.loaded_version,
        history = null,
        history_left = null,
        updated_at = now();

-- name: swept
-- A sweep of the stream was completed.
insert into cdc.cursors as known (connection, stream, swept_at)
values (%(connection)s, %(stream)s, now())
on conflict (connection, stream) do update set swept_at = excluded.swept_at, updated_at = now();

-- name: to_ask_again
-- Records to read again by id, the longest waiting first. count: at most so many.
select
    ask_again.id,
    ask_again.asked_at
from cdc.ask_again
where
    ask_again.connection = %(connection)s
    and ask_again.stream = %(stream)s
order by ask_again.asked_at, ask_again.id
limit %(count)s;

-- name: asked_again
-- They were read. One that was put down once more meanwhile stays. ids, times: what `to_ask_again` gave, in one order.
delete from cdc.ask_again
using unnest(%(ids)s::text [], %(times)s::timestamptz []) as done (id, asked_at)
where
    ask_again.connection = %(connection)s
    and ask_again.stream = %(stream)s
    and ask_again.id = done.id
    and ask_again.asked_at = done.asked_at;

-- name: whole_read
-- A read of everything has answered all questions that were put down before it began.
delete from cdc.ask_again
where
    ask_again.connection = %(connection)s
    and ask_again.stream = %(stream)s
    and ask_again.asked_at < %(began_at)s;

-- name: newest_created
-- The newest time of creation in a stream, as its source writes it. {table}; field: name in the payload.
select max(known.payload ->> %(field)s) as newest
from {table} as known
where known.connection = %(connection)s;

-- name: see
-- Ids that a sweep met, in the transaction of their page.
insert into cdc.seen (connection, stream, sweep, id)
select
    %(connection)s,
    %(stream)s,
    %(sweep)s,
    met.id
from unnest(%(ids)s::text []) as met (id)
on conflict do nothing;

-- name: missing_after_sweep
-- Live rows older than the sweep that it did not meet. {table}; field, created_from: its window, null for everything.
select known.id
from {table} as known
where
    known.connection = %(connection)s
    and known.deleted_at is null
    and known.version < %(sweep)s
    and (%(created_from)s::text is null or known.payload ->> %(field)s >= %(created_from)s)
    and not exists (
        select from cdc.seen
        where
            seen.connection = %(connection)s
            and seen.stream = %(stream)s
            and seen.sweep = %(sweep)s
            and seen.id = known.id
    )
order by known.id;

-- name: missing_after_whole
-- Live rows older than a read of everything that it did not contain. {table}; ids: those it contained.
select known.id
from {table} as known
where
    known.connection = %(connection)s
    and known.deleted_at is null
    and known.version < %(began_version)s
    and not exists (
        select from unnest(%(ids)s::text []) as met (id)
        where met.id = known.id
    )
order by known.id;

-- name: count_live
-- How many live rows a stream has. {table}
select count(*) as live
from {table} as known
where known.connection = %(connection)s and known.deleted_at is null;

-- name: count_bad
-- How many records of a stream could not be stored.
select count(*) as bad
from cdc.bad_records
where bad_records.connection = %(connection)s and bad_records.stream = %(stream)s;

-- name: forget_seen
-- What this and abandoned sweeps of the stream met.
delete from cdc.seen
where seen.connection = %(connection)s and seen.stream = %(stream)s and seen.sweep <= %(sweep)s;

-- name: misjudged
-- Has a staging table no statistics, or did so many of its rows change that they mislead? Autovacuum comes by once a minute,
-- and what is built on a first load is planned before that. Parameters: table, changed (rows).
-- From here on this session analyzes 9,000 rows (300 for each point of the target) instead of 30,000: they are read and copied with
-- their payloads, 7 µs a document of a first load of 30,000. What statistics serve here is to find few rows by a key among many, and
-- ids that differ in each row look as different in 9,000. A database or user that is told to keep fewer keeps fewer.
select
    class.reltuples < 0 or %(changed)s > 50 + 0.2 * class.reltuples as is_misjudged,
    set_config(
        'default_statistics_target', least(current_setting('default_statistics_target')::integer, 30)::text, false
    ) as looks_at
from pg_class as class
where class.oid = to_regclass(%(table)s);

-- name: analyze
-- Tell the planner what a table holds.
analyze {table};
