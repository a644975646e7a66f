-- Builds: the set of models in force, and what a new set is checked for before it takes its place.

-- name: models_of_kind
-- Models of the set in force. Parameters: kind (outbound or mart).
select
    models.model,
    models.kind,
    models.system,
    models.entity,
    models.config,
    models.code_hash,
    models.lookups_hash,
    models.sweep_due,
    models.is_new,
    models.is_changed,
    models.build
from cdc.models as models
where models.kind = %(kind)s
order by models.model;

-- name: pin_set
-- Keep the set from being switched until this transaction ends. key: bigint.
select pg_advisory_xact_lock_shared(%(key)s);

-- name: claim_set
-- Nobody reads the set while it is switched; waits as long as lock_timeout allows. key: bigint.
select pg_advisory_xact_lock(%(key)s);

-- name: limit_wait
-- How long statements of this transaction wait for a lock. milliseconds: text.
select set_config('lock_timeout', %(milliseconds)s, true);

-- name: in_force
-- The build in force, with what it was made from; no row before the first.
select
    builds.build,
    builds.switched_at,
    builds.manifest
from cdc.builds as builds
where builds.switched_at is not null
order by builds.switched_at desc
limit 1;

-- name: missing_relations
-- Relations of the models in force that the database does not have: somebody dropped a schema by hand.
select models.model
from cdc.models as models
where
    to_regclass(format('%I.%I', models.config ->> 'schema', models.model)) is null
    or (models.kind = 'mart' and to_regclass(format('marts.%I', models.model)) is null);

-- name: staging_shape
-- One hash of every column of every staging table: models are built on these.
select coalesce(
    encode(sha256(string_agg(
        format('%s.%s %s', class.relname, attribute.attname, format_type(attribute.atttypid, attribute.atttypmod)),
        e'\n' order by class.relname, attribute.attnum
    )::bytea), 'hex'),
    ''
) as shape
from pg_class as class
inner join pg_namespace as namespace on class.relnamespace = namespace.oid
inner join pg_attribute as attribute on class.oid = attribute.attrelid
where
    namespace.nspname = 'staging'
    and class.relkind = 'r'
    and attribute.attnum > 0
    and not attribute.attisdropped;

-- name: staging_columns
-- Every column of every staging table.
select
    class.relname as relation,
    attribute.attname as name
from pg_class as class
inner join pg_namespace as namespace on class.relnamespace = namespace.oid
inner join pg_attribute as attribute on class.oid = attribute.attrelid
where
    namespace.nspname = 'staging'
    and class.relkind in ('r', 'p')
    and attribute.attnum > 0
    and not attribute.attisdropped
order by class.relname, attribute.attnum;

-- name: columns
-- Columns of every relation of a set, in order. Parameters: prefix (of its schemas, with both underscores).
select
    substr(namespace.nspname, length(%(prefix)s) + 1) as layer,
    class.relname as relation,
    attribute.attname as name,
    format_type(attribute.atttypid, attribute.atttypmod) as type
from pg_class as class
inner join pg_namespace as namespace on class.relnamespace = namespace.oid
inner join pg_attribute as attribute on class.oid = attribute.attrelid
where
    starts_with(namespace.nspname, %(prefix)s)
    and class.relkind in ('r', 'v', 'm', 'p')
    and attribute.attnum > 0
    and not attribute.attisdropped
order by namespace.nspname, class.relname, attribute.attnum;

-- name: schemas
-- Schemas whose name begins so. Parameters: prefix.
select namespace.nspname as name
from pg_namespace as namespace
where starts_with(namespace.nspname, %(prefix)s)
order by namespace.nspname;

-- name: drop_schema
-- Remove a schema of a set that is not in force.
drop schema if exists {schema} cascade;

-- name: rename_schema
-- Give a schema of a set its other name.
alter schema {schema} rename to {name};

-- name: readers_of_problems
-- Views of a set that read the column _problems of another relation of it: reader and relation, by name.
-- Parameters: prefix.
select distinct
    reader.relname as reader,
    parent.relname as relation
from pg_rewrite as rule
inner join pg_class as reader on rule.ev_class = reader.oid
inner join pg_namespace as reader_schema on reader.relnamespace = reader_schema.oid
inner join pg_depend as dependency on dependency.classid = 'pg_rewrite'::regclass and rule.oid = dependency.objid
inner join pg_class as parent on dependency.refclassid = 'pg_class'::regclass and dependency.refobjid = parent.oid
inner join pg_attribute as attribute on parent.oid = attribute.attrelid and dependency.refobjsubid = attribute.attnum
where
    starts_with(reader_schema.nspname, %(prefix)s)
    and parent.oid <> reader.oid
    and attribute.attname = '_problems';

-- name: views
-- Every view of a set. definition: of those that read a staging table; is_opaque: it calls a function that is not Postgres's own
-- and may read by itself. Parameters: prefix.
select
    substr(namespace.nspname, length(%(prefix)s) + 1) as layer,
    class.relname as view,
    case
        when bool_or(dependency.refclassid = 'pg_class'::regclass and parent.relnamespace = 'staging'::regnamespace)
            then pg_get_viewdef(class.oid, true)
    end as definition,
    coalesce(bool_or(dependency.refclassid = 'pg_proc'::regclass and called.provolatile <> 'i'), false) as is_opaque
from pg_rewrite as rule
inner join pg_class as class on rule.ev_class = class.oid
inner join pg_namespace as namespace on class.relnamespace = namespace.oid
left join pg_depend as dependency on dependency.classid = 'pg_rewrite'::regclass and rule.oid = dependency.objid
left join pg_class as parent on dependency.refclassid = 'pg_class'::regclass and dependency.refobjid = parent.oid
left join pg_proc as called on dependency.refclassid = 'pg_proc'::regclass and dependency.refobjid = called.oid
where
    starts_with(namespace.nspname, %(prefix)s)
    and class.relkind = 'v'
group by namespace.nspname, class.oid, class.relname;

-- name: view_parents
-- What the views of a set read, and which columns of it. is_whole: its rows too, as values. Parameters: prefix.
with read as (
    select
        rule.oid as rule,
        reader.relnamespace,
        reader.relname,
        dependency.refobjid as parent,
        coalesce(array_agg(attribute.attname::text) filter (where attribute.attname is not null), '{}') as columns
    from pg_rewrite as rule
    inner join pg_class as reader on rule.ev_class = reader.oid
    inner join pg_namespace as reader_schema on reader.relnamespace = reader_schema.oid
    inner join pg_depend as dependency
        on
            dependency.classid = 'pg_rewrite'::regclass
            and rule.oid = dependency.objid
            and dependency.refclassid = 'pg_class'::regclass
    left join pg_attribute as attribute
        on
            dependency.refobjid = attribute.attrelid
            and dependency.refobjsubid = attribute.attnum
            and dependency.refobjsubid <> 0
    where
        starts_with(reader_schema.nspname, %(prefix)s)
        and reader.relkind = 'v'
        and dependency.refobjid <> reader.oid
    group by rule.oid, reader.relnamespace, reader.relname, dependency.refobjid
)

select
    substr(reader_schema.nspname, length(%(prefix)s) + 1) as layer,
    read.relname as view,
    starts_with(parent_schema.nspname, %(prefix)s) as in_set,
    case
        when starts_with(parent_schema.nspname, %(prefix)s) then substr(parent_schema.nspname, length(%(prefix)s) + 1)
        else parent_schema.nspname
    end as parent_schema,
    parent.relname as parent,
    parent.relkind in ('r', 'p') as is_table,
    read.columns,
    -- A variable that stands for a whole row has this number, and the row's type.
    position(':varattno 0 :vartype ' || parent.reltype || ' ' in rule.ev_action::text) > 0 as is_whole
from read
inner join pg_rewrite as rule on read.rule = rule.oid
inner join pg_namespace as reader_schema on read.relnamespace = reader_schema.oid
inner join pg_class as parent on read.parent = parent.oid
inner join pg_namespace as parent_schema on parent.relnamespace = parent_schema.oid;

-- name: grants_on_schema
-- Who may use a schema, so that the one that takes its place lets them in too. Parameters: schema.
select grantee.rolname as role
from pg_namespace as namespace
cross join lateral aclexplode(namespace.nspacl) as acl
inner join pg_roles as grantee on acl.grantee = grantee.oid
where
    namespace.nspname = %(schema)s
    and acl.privilege_type = 'USAGE'
    and grantee.oid <> namespace.nspowner;

-- name: grant_schema
-- Let a role use a schema.
grant usage on schema {schema} to {role};

-- name: grants_on_relations
-- Who may read a relation of a schema that the new schema has too. Parameters: schema, new.
select distinct
    class.relname as relation,
    grantee.rolname as role
from pg_namespace as namespace
inner join pg_class as class on namespace.oid = class.relnamespace
cross join lateral aclexplode(class.relacl) as acl
inner join pg_roles as grantee on acl.grantee = grantee.oid
where
    namespace.nspname = %(schema)s
    and acl.privilege_type = 'SELECT'
    and grantee.oid <> class.relowner
    and to_regclass(format('%%I.%%I', %(new)s::text, class.relname)) is not null
order by relation, role;

-- name: grant_relation
-- Let a role read a relation.
grant select on {relation} to {role};

-- name: wrong_rows
-- What a test of kind `sound` finds wrong, and with how many rows.
select
    failed.wrong,
    count(*) as found
from ({test}) as failed
group by failed.wrong
order by found desc, failed.wrong
limit 3;

-- name: never_analyzed
-- Staging tables of which the planner knows nothing yet, or little of what they hold now. Parameters: tables (names).
select stat.relname as relation
from pg_stat_user_tables as stat
inner join pg_class as class on stat.relid = class.oid
where
    stat.schemaname = 'staging'
    and stat.relname = any(%(tables)s)
    and (class.reltuples < 0 or stat.n_mod_since_analyze > greatest(1000, class.reltuples / 5));

-- name: analyze
-- Let the planner count a table.
analyze {table};

-- name: large_tables
-- Staging tables of more rows than given, as the planner counts them. Parameters: tables, rows.
select
    class.relname as relation,
    class.reltuples::bigint as row_count
from pg_class as class
inner join pg_namespace as namespace on class.relnamespace = namespace.oid
where
    namespace.nspname = 'staging'
    and class.relname = any(%(tables)s)
    and class.reltuples > %(rows)s;

-- name: explain_diff
-- How the diff's lateral form (design, section 7) would read a view for one changed driver.
explain (verbose, format json)
select desired.*
from unnest(array[''], array['']) as changed (connection, id)
left join lateral (
    select relation.*
    from {relation} as relation
    where
        relation.{connection_column} = changed.connection
        and relation.{id_column} = changed.id
    offset 0
) as desired on true;

-- name: stand_in
-- An empty table in the place of a model.
create temporary table {name} (like {relation});

-- name: explain_by_key
-- Down to which readings the planner brings the conditions under which the diff asks for a record.
explain (format json)
select desired.*
from unnest(array[''], array['']) as asked_for (connection, id)
cross join lateral (
    select relation.*
    from ({text}) as relation
    where
        relation._source_connection = asked_for.connection
        and relation._source_id = asked_for.id
    offset 0
) as desired;

-- name: explain_rule
-- Does a dirty rule of kind sql parse, and give the two columns that it must?
explain
with changed (connection, id, keys) as (
    values (''::text, ''::text, '{{}}'::jsonb)
)

select
    rule.source_connection::text,
    rule.source_id::text
from ({rule}) as rule;

-- name: note_build
-- The set that is now in force. Parameters: build, manifest (jsonb).
insert into cdc.builds (build, switched_at, manifest)
values (%(build)s, clock_timestamp(), %(manifest)s)
on conflict (build) do update
    set
        built_at = now(),
        switched_at = excluded.switched_at,
        manifest = excluded.manifest;

-- name: known_models
-- What was known of each model before the switch, locked against diffs that note a finished sweep.
select
    models.model,
    models.code_hash,
    models.lookups_hash,
    models.config
from cdc.models as models
for update;

-- name: note_model
-- A model of the new set. Changed SQL or lookups, or other dirty rules, make it sweep due; so does another finding of what it
-- reads, except where before every change counted.
-- Parameters: model, kind, system, entity, config (jsonb), reads (jsonb), code_hash, lookups_hash, build.
insert into cdc.models (model, kind, system, entity, config, reads, code_hash, lookups_hash, build)
values (
    %(model)s, %(kind)s, %(system)s, %(entity)s, %(config)s, %(reads)s, %(code_hash)s, %(lookups_hash)s, %(build)s
)
on conflict (model) do update
    set
        kind = excluded.kind,
        system = excluded.system,
        entity = excluded.entity,
        config = excluded.config,
        reads = excluded.reads,
        code_hash = excluded.code_hash,
        lookups_hash = excluded.lookups_hash,
        sweep_due = models.sweep_due
        or models.code_hash <> excluded.code_hash
        or models.lookups_hash <> excluded.lookups_hash
        or models.config -> 'dirty' <> excluded.config -> 'dirty'
        or (models.reads is not null and models.reads is distinct from excluded.reads),
        is_changed = models.is_changed
        or models.code_hash <> excluded.code_hash
        or models.lookups_hash <> excluded.lookups_hash,
        build = excluded.build;

-- name: forget_models
-- Models that the new set no longer has. Parameters: models (all that it has).
with gone as (
    delete from cdc.models
    where not models.model = any(%(models)s)
    returning
        models.model,
        models.kind
),

keys as (
    delete from cdc.changed_keys
    using gone
    where changed_keys.model = gone.model
)

select
    gone.model,
    gone.kind
from gone
order by gone.model;

-- name: counts
-- How many models are in force.
select
    count(*) filter (where models.kind = 'outbound') as outbound,
    count(*) filter (where models.kind = 'mart') as marts
from cdc.models as models;

-- name: functions
-- Functions of ours that models call: their text is kept with each build.
select
    namespace.nspname as schema,
    proc.proname || '(' || pg_get_function_identity_arguments(proc.oid) || ')' as name,
    pg_get_functiondef(proc.oid) as definition
from pg_proc as proc
inner join pg_namespace as namespace on proc.pronamespace = namespace.oid
where
    namespace.nspname = 'staging'
    and proc.prokind = 'f'
order by 1, 2;

-- name: lookup_rows
-- The rows of a lookup, in an order of their own.
select to_jsonb(lookup.*) as content
from {lookup} as lookup
order by to_jsonb(lookup.*)::text;

-- name: keep_parts
-- What a build is made of. Texts that are known are not written again. Parameters: build, texts (jsonb), parts (jsonb).
with noted as (
    insert into cdc.builds (build)
    values (%(build)s)
    on conflict (build) do nothing
),

kept as (
    insert into cdc.build_texts (hash, content)
    select
        given.hash,
        given.content
    from jsonb_to_recordset(%(texts)s::jsonb) as given (hash text, content text)
    on conflict (hash) do nothing
)

insert into cdc.build_parts (build, kind, layer, name, hash, parents)
select
    %(build)s,
    given.kind,
    given.layer,
    given.name,
    given.hash,
    array(select jsonb_array_elements_text(given.parents))
from jsonb_to_recordset(%(parts)s::jsonb) as given (kind text, layer text, name text, hash text, parents jsonb)
on conflict (build, layer, name) do update
    set
        kind = excluded.kind,
        hash = excluded.hash,
        parents = excluded.parents;

-- name: parts
-- What a build is made of.
select
    kind,
    layer,
    name,
    hash,
    parents
from cdc.build_parts
where build = %(build)s
order by layer, name;

-- name: texts
-- Texts by their hash.
select
    hash,
    content
from cdc.build_texts
where hash = any(%(hashes)s::text[]);

-- name: when_in_force
-- When builds were put in force.
select
    build,
    switched_at
from cdc.builds
where build = any(%(builds)s::text[]);
