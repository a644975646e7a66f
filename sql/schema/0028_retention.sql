-- additive
-- Tables that grow for ever lie in months: a month is archived to a file, and dropped in the transaction that notes the file.

create table cdc.archives (
    archive uuid primary key default gen_random_uuid(),
    relation text not null,
    month date not null,
    from_at timestamptz not null,
    until_at timestamptz not null,
    file text not null,
    rows bigint not null check (rows > 0),
    bytes bigint not null,
    sha256 text not null,
    columns jsonb not null,
    migration integer not null,
    first_position bigint,
    last_position bigint,
    last_digest text,
    archived_at timestamptz not null default now(),
    archived_by text not null
);
comment on table cdc.archives is 'Append-only: each part of a table that stands in a file and no longer in the database';
comment on column cdc.archives.file is 'Name in the folder of the settings (retention.folder); beside it the same as .json: its manifest';
comment on column cdc.archives.sha256 is 'Of the content before compression: what COPY gave of the rows, in the order of the manifest';
comment on column cdc.archives.migration is 'Number of the newest migration when it was written';
comment on column cdc.archives.last_digest is 'Of the audit: the digest at last_position, which the first row that is left continues';
create index archives_relation on cdc.archives (relation, from_at);

-- What of an archived entry is still needed: the money that its record was last said to have.
create table cdc.last_entries (
    connection text not null,
    entity text not null,
    key text not null,
    entry bigint not null,
    amount numeric,
    currency text,
    finished_at timestamptz not null,
    primary key (connection, entity, key)
);
comment on table cdc.last_entries is 'Of each living link the last entry that the target took, where its month is archived: what drift and limits compare with';

create function cdc.note_archives() returns trigger
language plpgsql
security definer
set search_path = pg_catalog, cdc
set timezone = 'UTC'
as $$
begin
    insert into cdc.audit_inbox (kind, subject, fact)
    select
        'archive',
        noted.archive::text,
        jsonb_build_object(
            'at', noted.archived_at, 'by', noted.archived_by, 'relation', noted.relation, 'month', noted.month, 'rows', noted.rows,
            'sha256', noted.sha256, 'digest', cdc.digest(noted.archive, to_jsonb(noted))
        )::text
    from noted;
    return null;
end
$$;
create trigger audit after insert on cdc.archives
referencing new table as noted for each statement execute function cdc.note_archives();
create trigger stands before update or delete on cdc.archives for each row execute function cdc.refuse_always();
create trigger stands_whole before truncate on cdc.archives for each statement execute function cdc.refuse_always();

-- Only the owner of the tables takes away what is archived, or moves rows to their month, and only where he says so.
create function cdc.may_retain(of_table oid) returns boolean
language sql
stable
as $$
    select
        coalesce(current_setting('tieout.retaining', true), '') <> ''
        and pg_has_role(current_user, class.relowner, 'USAGE')
    from pg_class as class
    where class.oid = of_table
$$;
comment on function cdc.may_retain (oid) is 'Is this `tieout retain`, run by the owner of the table?';

create or replace function cdc.refuse_change() returns trigger
language plpgsql
as $$
begin
    if tg_op = 'UPDATE' and coalesce(current_setting('tieout.forgetting', true), '') <> '' then
        return new;
    end if;
    if tg_op = 'DELETE' and cdc.may_retain(tg_relid) then
        return old;
    end if;
    raise exception 'cdc.% is append-only', tg_table_name using
        errcode = 'insufficient_privilege',
        hint = 'A person is forgotten with `tieout forget`, old months are archived with `tieout retain`; everything else stays as it was recorded.';
end
$$;

create or replace function cdc.refuse_always() returns trigger
language plpgsql
as $$
begin
    if tg_op = 'DELETE' and tg_table_name = 'audit_inbox' and coalesce(current_setting('tieout.sealing', true), '') <> '' then
        return old;
    end if;
    if tg_op = 'DELETE' and starts_with(tg_table_name, 'audit_default') and cdc.may_retain(tg_relid) then
        return old;
    end if;
    raise exception 'cdc.% is append-only', tg_table_name using
        errcode = 'insufficient_privilege', hint = 'The audit trail is only added to.';
end
$$;

-- The audit lies in months of its sealing, which grow with its positions.
alter table cdc.audit rename to audit_default;
alter table cdc.audit_default drop constraint audit_pkey;
alter index cdc.audit_subject rename to audit_default_subject;
drop trigger stands on cdc.audit_default;
create table cdc.audit (like cdc.audit_default including defaults including comments) partition by range (sealed_at);
alter table cdc.audit add primary key (position, sealed_at);
create index audit_subject on cdc.audit (kind, subject, position);
alter table cdc.audit attach partition cdc.audit_default default;
create trigger stands before update or delete on cdc.audit for each row execute function cdc.refuse_always();
create trigger stands_whole before truncate on cdc.audit for each statement execute function cdc.refuse_always();
comment on table cdc.audit is 'Append-only: facts in a chain, each with the digest of the one before';

-- Empty months ahead, so that rows find theirs. Where there is none they fall into the default partition, and `tieout retain`
-- moves them: nothing waits for a month, and nothing fails for want of one.
create function cdc.make_months(ahead integer default 3) returns integer
language plpgsql
security definer
set search_path = pg_catalog, cdc
set timezone = 'UTC'
set lock_timeout = '2s'
as $$
declare
    of_table record;
    month timestamptz;
    partition text;
    is_taken boolean;
    made integer := 0;
begin
    for of_table in
        select *
        from (values ('history', 'changed_at'), ('outbox_done', 'finished_at'), ('audit', 'sealed_at')) as given (name, moment)
    loop
        for steps in 0..least(ahead, 24) loop
            month := date_trunc('month', now()) + make_interval(months => steps);
            partition := of_table.name || to_char(month, '_YYYY_MM');
            -- Its rows would be looked through for those of the month, and nobody could read the table meanwhile: with more
            -- than a little in it, that is for `tieout retain`.
            continue when
                to_regclass(format('cdc.%I', partition)) is not null
                or pg_relation_size(format('cdc.%I', of_table.name || '_default')::regclass) > 8 * 1024 * 1024;
            execute format(
                'select exists (select 1 from cdc.%I where %I >= %L and %2$I < %L)',
                of_table.name || '_default', of_table.moment, month, month + interval '1 month'
            ) into is_taken;
            continue when is_taken;
            begin
                perform cdc.add_month(of_table.name, partition, month);
                made := made + 1;
            exception
                -- Somebody reads for long, or another session makes it: the default partition takes the rows until next time.
                when lock_not_available or duplicate_table or deadlock_detected or check_violation then null;
            end;
        end loop;
    end loop;
    return made;
end
$$;
comment on function cdc.make_months (integer) is 'Makes the months of this one and those ahead that are missing, for every table in months; how many';

create function cdc.add_month(of_table text, partition text, month timestamptz) returns void
language plpgsql
set search_path = pg_catalog, cdc
set timezone = 'UTC'
as $$
begin
    if to_regclass(format('cdc.%I', partition)) is null then
        execute format('create table cdc.%I (like cdc.%I including defaults including constraints)', partition, of_table);
    end if;
    -- Attached and not made as a partition: that would lock out the readers of all months.
    execute format(
        'alter table cdc.%I attach partition cdc.%I for values from (%L) to (%L)',
        of_table, partition, month, month + interval '1 month'
    );
    execute format(
        'create trigger stands_whole before truncate on cdc.%I for each statement execute function cdc.refuse_always()', partition
    );
end
$$;
comment on function cdc.add_month (text, text, timestamptz) is 'Attaches a month to its table; makes it when it is not there';
revoke execute on function cdc.add_month (text, text, timestamptz) from public;
select cdc.make_months();

-- The roles: nobody but the owner writes what is archived, or reaches a month past its table.
create or replace function cdc.grant_roles() returns text[]
language plpgsql
as $$
declare
    wanted text;
    wish record;
    missing text[] := '{}';
begin
    foreach wanted in array array['tieout_loader', 'tieout_analyst', 'tieout_writer', 'tieout_reader'] loop
        if to_regrole(wanted) is null then
            begin
                execute format('create role %I nologin', wanted);
            exception
                -- Made by another database's migration in this moment; or this user may not make roles.
                when duplicate_object or unique_violation then null;
                when insufficient_privilege then missing := missing || wanted;
            end;
        end if;
    end loop;

    if not 'tieout_analyst' = any(missing) and not has_database_privilege('tieout_analyst', current_database(), 'CREATE') then
        begin
            execute format('grant create, temporary on database %I to tieout_analyst', current_database());
        exception
            when insufficient_privilege then null;
        end;
    end if;

    for wish in
        with layers as (
            select array(
                select jsonb_array_elements_text(latest.manifest -> 'layers')
                from (
                    select builds.manifest
                    from cdc.builds
                    where builds.switched_at is not null
                    order by builds.switched_at desc
                    limit 1
                ) as latest
            ) || array['marts'] as all_of_them
        ),

        -- Schemas, which relations in them, and what may be done with those.
        rules (role, schemas, chosen, but, privileges) as (
            select 'tieout_reader', array['canonical', 'marts'], null::text[], '{}'::text[], array['SELECT']
            union all
            select 'tieout_analyst', layers.all_of_them || array['staging'], null, '{}', array['SELECT'] from layers
            union all
            select 'tieout_analyst', array['cdc'], null, array['vault'], array['SELECT']
            union all
            select 'tieout_loader', array['staging'], null, '{}', array['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'MAINTAIN']
            union all
            select
                'tieout_loader',
                array['cdc'],
                array['cursors', 'seen', 'ask_again', 'bad_records', 'connections', 'runs', 'vault']
                || array['budget', 'budget_windows', 'budget_used', 'budget_slots', 'budget_queue'],
                '{}',
                array['SELECT', 'INSERT', 'UPDATE', 'DELETE']
            union all
            select 'tieout_loader', array['cdc'], array['changes', 'history'], '{}', array['SELECT', 'INSERT']
            union all
            select
                'tieout_loader',
                array['cdc'],
                array['migrations', 'staging_files', 'staging_template', 'version', 'forgotten_records', 'installation'],
                '{}',
                array['SELECT']
            union all
            select
                'tieout_writer',
                array['cdc'],
                null,
                array['migrations', 'staging_files', 'audit', 'forgettings', 'archives', 'last_entries'],
                array['SELECT', 'INSERT', 'UPDATE', 'DELETE']
            union all
            select 'tieout_writer', array['cdc'], array['audit'], '{}', array['SELECT', 'INSERT']
            union all
            select 'tieout_writer', array['cdc'], array['migrations', 'staging_files', 'forgettings', 'archives', 'last_entries'], '{}',
                array['SELECT']
            union all
            select 'tieout_writer', array['staging'], null, '{}', array['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'MAINTAIN']
            union all
            select 'tieout_writer', layers.all_of_them, null, '{}', array['SELECT'] from layers
            union all
            select 'tieout_writer', array['marts'], null, '{}', array['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'MAINTAIN']
        ),

        relations as (
            select
                rules.role,
                namespace.nspname as schema,
                class.relname as relation,
                class.relkind,
                class.relacl,
                array(
                    select distinct privilege
                    from unnest(rules.privileges) as of_rule (privilege)
                    where
                        (class.relkind in ('r', 'p') or privilege <> 'MAINTAIN')
                        and (class.relkind <> 'S' or privilege = 'SELECT')
                        and (class.relkind <> 'v' or privilege = 'SELECT')
                ) || case when class.relkind = 'S' and rules.role in ('tieout_loader', 'tieout_writer') then array['USAGE'] else '{}' end
                as privileges
            from rules
            inner join pg_namespace as namespace on namespace.nspname = any(rules.schemas)
            inner join pg_class as class on namespace.oid = class.relnamespace
            where
                class.relkind in ('r', 'p', 'v', 'm', 'S')
                -- A partition is reached through its table; by itself nobody may change it past the rules of that.
                and not class.relispartition
                and (rules.chosen is null or class.relname = any(rules.chosen))
                and not class.relname = any(rules.but)
                and not rules.role = any(missing)
        ),

        lacking as (
            select
                relations.*,
                array(
                    select privilege
                    from unnest(relations.privileges) as of_relation (privilege)
                    except
                    select held.privilege_type
                    from aclexplode(relations.relacl) as held
                    where held.grantee = to_regrole(relations.role)
                ) as to_grant
            from relations
        )

        select distinct
            0 as step,
            format('grant usage on schema %I to %I', namespace.nspname, rules.role) as statement
        from rules
        inner join pg_namespace as namespace on namespace.nspname = any(rules.schemas)
        where
            not rules.role = any(missing)
            and not has_schema_privilege(rules.role, namespace.oid, 'USAGE')
        union all
        select
            1 as step,
            format(
                'grant %s on %s %I.%I to %I',
                array_to_string(lacking.to_grant, ', '),
                case when lacking.relkind = 'S' then 'sequence' else 'table' end,
                lacking.schema,
                lacking.relation,
                lacking.role
            ) as statement
        from lacking
        where cardinality(lacking.to_grant) > 0
        order by step, statement
    loop
        execute wish.statement;
    end loop;

    -- `load` says how many dead letters there are: the loader sees that there are entries, not what is in them.
    if not 'tieout_loader' = any(missing) and not has_column_privilege('tieout_loader', 'cdc.outbox', 'held_for', 'SELECT') then
        grant select (state, cause, held_for) on cdc.outbox to tieout_loader;
    end if;
    return missing;
end
$$;
