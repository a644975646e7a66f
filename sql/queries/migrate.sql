-- name: prepare
-- The place where migrations are noted, before the first of them.
create schema if not exists cdc;
create table if not exists cdc.migrations (
    number integer primary key,
    name text not null,
    checksum text not null,
    applied_at timestamptz not null default now()
);
comment on table cdc.migrations is 'Numbered files of sql/schema that this database has, each applied once';
create table if not exists cdc.staging_files (
    name text primary key,
    checksum text not null,
    applied_at timestamptz not null default now()
);
comment on table cdc.staging_files is 'Files of sql/staging as last applied; a changed one is applied again';

-- name: applied
-- Every file that this database has.
select
    number,
    name,
    checksum
from cdc.migrations
union all
select
    null as number,
    name,
    checksum
from cdc.staging_files;

-- name: note_migration
-- number, name, checksum of a file just applied.
insert into cdc.migrations (number, name, checksum)
values (%(number)s, %(name)s, %(checksum)s);

-- name: note_staging
-- name, checksum of a file just applied.
insert into cdc.staging_files (name, checksum)
values (%(name)s, %(checksum)s)
on conflict (name) do update set
    checksum = excluded.checksum,
    applied_at = now();

-- name: limit_wait
-- How long statements of this transaction wait for a lock. milliseconds: text.
select set_config('lock_timeout', %(milliseconds)s, true);

-- name: lock_migrations
-- Nobody works while migrations run. key: bigint.
select pg_advisory_lock(%(key)s);

-- name: share_migrations
-- Migrations wait while somebody works. key: bigint.
select pg_advisory_lock_shared(%(key)s);

-- name: try_share_migrations
-- The same unless somebody migrates, or waits to. key: bigint.
select pg_try_advisory_lock_shared(%(key)s) as is_shared;

-- name: unshare_migrations
-- The end of a unit of work. key: bigint.
select pg_advisory_unlock_shared(%(key)s);

-- name: keep_payloads_plain
-- Payloads of up to 4 KB stay as they are in their rows of staging tables; larger ones are compressed, and stay in the row where that
-- makes them small enough. By default everything beyond 2 KB is compressed: half of the work of a first load (pglz, 20 of 42 µs for
-- an invoice of 2.7 KB), and each look at a field of it later takes five times as long. The price is twice the disk.
-- The planner keeps no statistics of payloads and their hashes, for which `analyze` would sort thousands of them: nothing is found by
-- a whole payload, and a hash is only compared in rows that were found by their id.
-- The index of a key says whether a record changed, but only of pages that vacuum has seen: so it comes after a fiftieth of new rows
-- instead of a fifth (migration 0043 for tables from before).
do $$
declare
    wanted regclass;
begin
    for wanted in
        select class.oid
        from pg_catalog.pg_class as class
        inner join pg_catalog.pg_namespace as space on space.oid = class.relnamespace
        inner join pg_catalog.pg_attribute as payload on payload.attrelid = class.oid and payload.attname = 'payload'
        inner join pg_catalog.pg_attribute as hash on hash.attrelid = class.oid and hash.attname = 'content_hash'
        where
            space.nspname = 'staging'
            and class.relkind = 'r'
            and not (
                coalesce(
                    class.reloptions @> array['toast_tuple_target=4080', 'autovacuum_vacuum_insert_scale_factor=0.02'], false
                )
                and coalesce(payload.attstattarget = 0, false)
                and coalesce(hash.attstattarget = 0, false)
            )
    loop
        execute 'alter table ' || wanted || ' set (toast_tuple_target = 4080, autovacuum_vacuum_insert_scale_factor = 0.02), '
            'alter column payload set statistics 0, alter column content_hash set statistics 0';
    end loop;
end
$$;
