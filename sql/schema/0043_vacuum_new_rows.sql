-- additive
-- Whether a record changed is read from the index of its key (0041), but only of pages that vacuum has seen. By default it comes after
-- a fifth of new rows: two thirds of what a first load had stored were not seen when the next one asked.

do $$
declare
    wanted regclass;
begin
    for wanted in
        select class.oid
        from pg_catalog.pg_class as class
        inner join pg_catalog.pg_namespace as space on space.oid = class.relnamespace
        where space.nspname = 'staging' and class.relkind = 'r'
    loop
        execute format('alter table %s set (autovacuum_vacuum_insert_scale_factor = 0.02)', wanted);
    end loop;
end
$$;
