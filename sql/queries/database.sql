-- name: copy_in
-- Rows from the client into a table; columns in the order given.
copy {table} ({columns}) from stdin;

-- name: copy_in_binary
-- The same in the server's own format.
copy {table} ({columns}) from stdin (format binary);

-- name: next_version
-- The number that a read or write takes before it leaves.
select nextval('cdc.version') as version;

-- name: try_lock
-- A lock of this session, or false when another session has it. key: bigint.
select pg_try_advisory_lock(%(key)s) as locked;

-- name: lock
-- A lock of this session; waits. key: bigint.
select pg_advisory_lock(%(key)s);

-- name: unlock
-- Give a lock of this session back; false when it did not have it. key: bigint.
select pg_advisory_unlock(%(key)s) as unlocked;

-- name: backend
-- The process of the server that answers.
select pg_backend_pid() as backend;
