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

-- name: is_prepared
-- False in a database that was never migrated.
select to_regclass('cdc.migrations') is not null and to_regclass('cdc.staging_files') is not null as prepared;

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

-- name: unshare_migrations
-- The end of a unit of work. key: bigint.
select pg_advisory_unlock_shared(%(key)s);
