-- name: register_worker
-- A sender, with the number of the lock that it holds while it lives.
insert into cdc.workers (worker, host, process_id, lock_key)
values (%(worker)s, %(host)s, %(process_id)s, %(lock_key)s);

-- name: forget_worker
-- A sender that ended in order and has no call under way.
delete from cdc.workers
where
    worker = %(worker)s
    and not exists (
        select 1
        from cdc.calls
        where
            calls.worker = %(worker)s
            and calls.settled_at is null
    );

-- name: forget_dead_workers
-- Senders that nobody is any more: their lock is free, and none of their calls is open. A living one holds its lock
-- before it has a row.
delete from cdc.workers
where
    not exists (
        select 1
        from cdc.calls
        where
            calls.worker = workers.worker
            and calls.settled_at is null
    )
    and not exists (
        select 1
        from pg_locks
        where
            pg_locks.locktype = 'advisory'
            and pg_locks.objsubid = 1
            and pg_locks.database = (select oid from pg_database where datname = current_database())
            and (pg_locks.classid::bigint << 32) | pg_locks.objid::bigint = workers.lock_key
    );

-- name: is_alive
-- The lock connection answers.
select 1 as one;

-- name: record
-- A call, recorded before it leaves, and its entries on their way with it: until the deadline it may be in flight.
-- reserved: those of them that others pass over; from now on their state says it.
with recorded as (
    insert into cdc.calls (
        call, number, connection, entity, operation, entries, keys, method, path, body, body_hash, serial_by, worker, run,
        deadline
    )
    values (
        %(call)s, nextval('cdc.version'), %(connection)s, %(entity)s, %(operation)s, %(entries)s::bigint[], %(keys)s::text[],
        %(method)s, %(path)s, %(body)s, %(body_hash)s, %(serial_by)s, %(worker)s, %(run)s,
        clock_timestamp() + make_interval(secs => %(seconds)s)
    )
    returning number
),

sent as (
    update cdc.outbox
    set
        state = 'sending',
        call = %(call)s,
        serial_by = %(serial_by)s,
        attempts = attempts + 1,
        changed_at = now()
    where entry = any(%(entries)s::bigint[])
)

select
    recorded.number,
    (
        select count(pg_advisory_unlock(hashtext('tieout.outbox'), (given.entry %% 2147483647)::integer))
        from unnest(%(reserved)s::bigint[]) as given (entry)
    ) as released
from recorded;

-- name: answered
-- How a call ended; `is_settled` when nothing of it is in doubt. What another process settled meanwhile stands.
update cdc.calls
set
    outcome = %(outcome)s,
    status = coalesce(%(status)s, status),
    answer = coalesce(%(answer)s, answer),
    asked = coalesce(%(asked)s, asked),
    settled_at = case when %(is_settled)s then clock_timestamp() end
where
    call = %(call)s
    and settled_at is null;

-- name: lost
-- Nobody knows what became of a call. It can no longer be under way: from now on the target may be asked.
update cdc.calls
set
    outcome = 'unknown',
    status = coalesce(%(status)s, status),
    answer = coalesce(%(answer)s, answer),
    deadline = clock_timestamp()
where
    call = %(call)s
    and settled_at is null;

-- name: doubt_entries
-- Its entries are in doubt.
update cdc.outbox
set
    state = 'in_doubt',
    changed_at = now()
where
    call = %(call)s
    and state = 'sending';

-- name: repeat
-- The same call goes out once more, with the same key. "Not there" is believed only of what was read after this.
update cdc.calls
set
    repeat_number = nextval('cdc.version'),
    worker = %(worker)s,
    deadline = clock_timestamp() + make_interval(secs => %(seconds)s)
where
    call = %(call)s
    and settled_at is null
    and deadline <= clock_timestamp()
returning repeat_number;

-- name: abandoned
-- Calls that never ended, whose deadline has passed: their sender is asked for by its lock.
select
    calls.call,
    workers.lock_key
from cdc.calls
left join cdc.workers
    on workers.worker = calls.worker
where
    calls.connection = %(connection)s
    and calls.settled_at is null
    and calls.outcome is null
    and calls.deadline <= clock_timestamp();

-- name: doubtful
-- Calls in doubt, oldest first; the clock is the database's.
select
    calls.*,
    extract(epoch from clock_timestamp() - calls.deadline) as seconds_since,
    extract(epoch from clock_timestamp() - calls.sent_at) as seconds_since_sent
from cdc.calls
where
    connection = %(connection)s
    and settled_at is null
    and outcome = 'unknown'
order by number;

-- name: asked_in_vain
-- The target was asked and nobody is wiser. After so many rounds and so long the call stops nothing but its own entries.
update cdc.calls
set
    asked = coalesce(%(asked)s, asked),
    asked_rounds = asked_rounds + 1,
    given_up_at = case
        when given_up_at is not null then given_up_at
        when asked_rounds + 1 >= %(rounds)s and sent_at < clock_timestamp() - make_interval(secs => %(seconds)s)
            then clock_timestamp()
    end
where
    call = %(call)s
    and settled_at is null
returning given_up_at is not null as is_given_up;

-- name: show_given_up
-- Entries of a call that nobody could settle, as dead letters. They stay in doubt: only an outcome or a person ends that.
update cdc.outbox
set
    cause = 'outcome unknown',
    reason = %(reason)s,
    cure = %(cure)s,
    who = 'operator',
    changed_at = case when cause is null then now() else changed_at end
where
    call = %(call)s
    and state = 'in_doubt';

-- name: on_their_way
-- Calls that may still be under way, and how long; their sender is asked for by its lock.
select
    cardinality(calls.entries) as entries,
    workers.lock_key,
    extract(epoch from calls.deadline - clock_timestamp()) as seconds
from cdc.calls
left join cdc.workers
    on workers.worker = calls.worker
where
    calls.connection = %(connection)s
    and calls.settled_at is null
    and calls.outcome is null
    and calls.deadline > clock_timestamp();

-- name: end_session
-- End the session that holds the lock of a sender. lock_key; milliseconds: how long its end is waited for.
select pg_terminate_backend(pg_locks.pid, %(milliseconds)s) as ended
from pg_locks
where
    pg_locks.locktype = 'advisory'
    and pg_locks.granted
    and pg_locks.objsubid = 1
    and pg_locks.database = (select oid from pg_database where datname = current_database())
    and (pg_locks.classid::bigint << 32) | pg_locks.objid::bigint = %(lock_key)s;

-- name: lock_call
-- One process settles a call.
select call
from cdc.calls
where
    call = %(call)s
    and settled_at is null
for update;

-- name: loaded
-- Up to which number a stream of a connection was read to its end; null when it never was.
select
    loaded_version,
    backfilled_at
from cdc.cursors
where
    connection = %(connection)s
    and stream = %(stream)s;

-- name: ask_again
-- An answer was poorer than a read: the loader reads these records by id.
insert into cdc.ask_again (connection, stream, id, reason)
select
    %(connection)s,
    %(stream)s,
    given.id,
    'a write answer was poorer than a read'
from unnest(%(ids)s::text[]) as given (id)
on conflict (connection, stream, id) do nothing;
