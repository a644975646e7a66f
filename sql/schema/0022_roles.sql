-- additive
-- Who may do what in this database. Four roles without a login; give them to the users that commands and BI log in with.
--
--   tieout_loader    `load`: staging tables and what goes with loading; its tokens
--   tieout_analyst   looks at everything but tokens, and makes schemas of its own to try models in
--   tieout_writer    `diff`, `drain`, `marts`, `sync` and the decisions of people: the engine's tables, the marts' rows
--   tieout_reader    BI: canonical models and marts, nothing else
--
-- Roles are the server's, not the database's: they may be there already, and another database may be making them at this
-- moment. `tieout migrate` and each `tieout build` call the function again, for what is new since.

create function cdc.grant_roles() returns text[]
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
            select 'tieout_writer', array['cdc'], null, array['migrations', 'staging_files', 'audit', 'forgettings'],
                array['SELECT', 'INSERT', 'UPDATE', 'DELETE']
            union all
            select 'tieout_writer', array['cdc'], array['audit'], '{}', array['SELECT', 'INSERT']
            union all
            select 'tieout_writer', array['cdc'], array['migrations', 'staging_files', 'forgettings'], '{}', array['SELECT']
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
comment on function cdc.grant_roles() is 'Makes the four roles where this user may, and grants them what they need; gives the roles that could not be made';
