-- additive
-- A record that did not change is known by the index of its key alone: its hash, form and deletion stand in it. Rows lie two to three on
-- a page of 8 kB with their payloads, so a look at each cost a page, of a table that soon is larger than the server's cache.

do $$
declare
    wanted record;
begin
    for wanted in
        select
            class.oid::regclass as name,
            found.conname as constraint_name
        from pg_catalog.pg_constraint as found
        inner join pg_catalog.pg_class as class on class.oid = found.conrelid
        inner join pg_catalog.pg_namespace as space on space.oid = class.relnamespace
        where
            found.contype = 'p'
            and class.relkind = 'r'
            and (space.nspname = 'staging' or class.oid = 'cdc.staging_template'::regclass)
            and 3 = (
                select count(*)
                from pg_catalog.pg_attribute as attribute
                where
                    attribute.attrelid = class.oid
                    and attribute.attname in ('content_hash', 'form', 'deleted_at')
                    and not attribute.attisdropped
            )
    loop
        execute format(
            'alter table %1$s drop constraint %2$I, '
            'add constraint %2$I primary key (connection, id) include (content_hash, form, deleted_at)',
            wanted.name, wanted.constraint_name
        );
    end loop;
end
$$;
