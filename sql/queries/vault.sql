-- name: get
-- The encrypted secret of a name.
select ciphertext
from cdc.vault
where name = %(name)s;

-- name: now
-- Seconds since 1970, as the database sees them.
select extract(epoch from clock_timestamp()) as now;

-- name: put
-- Store the encrypted secret of a name. ciphertext: bytea.
insert into cdc.vault (name, ciphertext)
values (%(name)s, %(ciphertext)s)
on conflict (name) do update set
    ciphertext = excluded.ciphertext,
    updated_at = now();

-- name: remove
-- Forget the secret of a name.
delete from cdc.vault
where name = %(name)s;

-- name: lock
-- One refresher of a name at a time, until the transaction ends. key: bigint.
select pg_advisory_xact_lock(%(key)s);

-- name: lock_shared
-- Nobody changes the key until the transaction ends. key: bigint.
select pg_advisory_xact_lock_shared(%(key)s);

-- name: all
-- Every secret, locked, to be encrypted anew.
select
    name,
    ciphertext
from cdc.vault
order by name
for update;
