-- What `tieout run` asks the database.

-- name: listen_changes
-- Told by loads that changed rows; the payload is the stream.
listen tieout_changes;

-- name: listen_ready
-- Told when entries became ready; the payload is the target.
listen tieout_ready;

-- name: news
-- Has a diff anything to look at? Keys of marts are not its business.
select
    (select changes.seq from cdc.changes order by changes.seq limit 1) is not null
    or exists (
        select
        from cdc.models
        where
            models.kind = 'outbound'
            and (
                models.sweep_due
                or (
                    select changed_keys.model
                    from cdc.changed_keys
                    where changed_keys.model between models.model and models.model
                    order by changed_keys.model, changed_keys.seq
                    limit 1
                ) = models.model
            )
    ) as has_news;

-- name: to_send
-- Has a drain of this target anything that moves now? What only waits for others is released by whoever settles those.
select
    exists (
        select from cdc.outbox
        where connection = %(connection)s and state = 'ready' and not_before <= now()
    )
    or exists (
        select from cdc.calls
        where connection = %(connection)s and settled_at is null
    ) as has_work;

-- name: loading
-- A load of this process has brought something; nobody takes this lock alone, so it never waits.
select pg_advisory_lock_shared(hashtext('tieout.loading'), 0);

-- name: loaded
-- No load of this process goes on any more: diffs that waited for it look now.
select
    pg_advisory_unlock_shared(hashtext('tieout.loading'), 0),
    pg_notify('tieout_changes', '');

-- name: loading_elsewhere
-- Sessions that hold that lock, but for this process's own (null: it has none).
select pg_locks.pid
from pg_locks
where
    pg_locks.locktype = 'advisory'
    and pg_locks.granted
    and pg_locks.objsubid = 2
    and pg_locks.database = (select oid from pg_database where datname = current_database())
    and pg_locks.classid::bigint = hashtext('tieout.loading')::bigint & 4294967295
    and pg_locks.objid = 0
    and pg_locks.pid is distinct from %(own)s::integer;
