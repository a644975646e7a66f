-- name: begin
-- One snapshot, for the numbers that are read here and for the rows that pg_dump copies.
begin isolation level repeatable read, read only;

-- name: end
-- The snapshot is not needed any more.
commit;

-- name: facts
-- What a backup contains.
select
    pg_export_snapshot() as snapshot,
    current_database() as name,
    current_setting('server_version_num')::integer / 10000 as server,
    (select coalesce(max(migrations.number), 0) from cdc.migrations) as migration,
    (select installation.installation_id::text from cdc.installation) as installation_id,
    greatest(
        coalesce((select installation.last_call from cdc.installation), 0),
        coalesce((select max(calls.number) from cdc.calls), 0)
    ) as last_call;

-- name: server
-- The server's major version.
select current_setting('server_version_num')::integer / 10000 as server;

-- name: schemas
-- What stands in a database, apart from what Postgres itself has; `public` is nobody's.
select nspname as name
from pg_namespace
where
    nspname not like 'pg\_%%'
    and nspname not in ('information_schema', 'public')
order by nspname;

-- name: drop
-- A schema that a backup takes the place of.
drop schema {name} cascade;

-- name: mark
-- The installation was put back.
update cdc.installation
set
    restored_at = now(),
    restored_from = {source};
