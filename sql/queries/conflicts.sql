-- name: open
-- Fields that wait for a person, with the models that send them.
select
    links.connection,
    links.entity,
    links.key,
    links.model,
    links.source_connection,
    links.source_id,
    links.target_id,
    waiting.field,
    waiting.state -> 'conflict' as conflict,
    waiting.state -> 'turns' as turns
from cdc.links
cross join lateral jsonb_each(links.two_way) as waiting (field, state)
where
    jsonb_path_exists(links.two_way, '$.*.conflict')
    and waiting.state ? 'conflict'
    and (%(connection)s::text is null or links.connection = %(connection)s)
    and (%(entity)s::text is null or links.entity = %(entity)s)
    and (%(key)s::text is null or links.key = %(key)s)
order by links.connection, links.entity, links.key, waiting.field;

-- name: count
-- How many fields wait for a person.
select count(*) as waiting
from cdc.links
cross join lateral jsonb_path_query(links.two_way, '$.*.conflict') as conflict
where jsonb_path_exists(links.two_way, '$.*.conflict');

-- name: since
-- By target, fields that wait for a person, and since when at the latest.
select
    links.connection,
    count(*) as waiting,
    min(links.updated_at) as since
from cdc.links
cross join lateral jsonb_path_query(links.two_way, '$.*.conflict') as conflict
where jsonb_path_exists(links.two_way, '$.*.conflict')
group by links.connection
order by links.connection;

-- name: links
-- The links of these keys, now that they are locked.
select
    links.connection,
    links.entity,
    links.key,
    links.said,
    links.returned,
    links.yielded,
    links.overrides,
    links.two_way
from cdc.links
inner join unnest(%(connections)s::text[], %(entities)s::text[], %(keys)s::text[]) as given (connection, entity, key)
    on
        links.connection = given.connection
        and links.entity = given.entity
        and links.key = given.key;

-- name: store
-- What a decision says about a link: the next entry is computed anew.
update cdc.links
set
    version = links.version + 1,
    said = given.said,
    yielded = given.yielded,
    overrides = given.overrides,
    two_way = given.two_way,
    updated_at = now()
from jsonb_to_recordset(%(rows)s) as given (
    connection text,
    entity text,
    key text,
    said jsonb,
    yielded jsonb,
    overrides jsonb,
    two_way jsonb
)
where
    links.connection = given.connection
    and links.entity = given.entity
    and links.key = given.key;

-- name: other_way
-- Links of the other direction: what this target's record drives there, or what there is the record that drives here.
select distinct
    links.connection,
    links.entity,
    links.key,
    links.model,
    links.source_connection,
    links.source_id,
    links.target_id,
    links.said,
    links.returned,
    links.two_way,
    links.version,
    given.key as for_key,
    given.connection as for_connection
from unnest(
    %(connections)s::text[], %(keys)s::text[], %(source_connections)s::text[], %(source_ids)s::text[], %(target_ids)s::text[]
) as given (connection, key, source_connection, source_id, target_id)
inner join cdc.links
    on
        links.model = any(%(models)s)
        and links.source_connection = given.connection
        and links.connection = given.source_connection
        and (links.source_id = given.target_id or links.target_id = given.source_id)
where links.target_id is not null and not links.is_gone;

-- name: moved
-- When somebody else last changed a field of these records, and who told us.
select
    given.stream,
    given.connection,
    given.id,
    given.field,
    history.changed_at,
    history.modified_at,
    history.told_by
from unnest(%(streams)s::text[], %(connections)s::text[], %(ids)s::text[], %(fields)s::text[]) as given (stream, connection, id, field)
cross join lateral (
    select
        found.changed_at,
        found.modified_at,
        found.told_by
    from cdc.history as found
    where
        found.stream = given.stream
        and found.connection = given.connection
        and found.id = given.id
        and found.told_by <> 'write answer'
        and (given.field is null or found.after ? given.field or found.before ? given.field)
    order by found.version desc
    limit 1
) as history;

-- name: rules_in_force
-- What people decided for fields of one kind of record.
select
    connection,
    field,
    take
from cdc.field_rules
where
    entity = %(entity)s
    and withdrawn_at is null;

-- name: rules
-- All rules that people kept, the newest first.
select
    rule,
    connection,
    entity,
    field,
    take,
    kept_at,
    kept_by,
    reason,
    withdrawn_at,
    withdrawn_by
from cdc.field_rules
where %(also_withdrawn)s or withdrawn_at is null
order by rule desc, connection, entity, field;

-- name: next_rule
-- The number of one decision.
select nextval('cdc.field_rule') as rule;

-- name: replace_rule
-- A field has one rule: the one before ends.
update cdc.field_rules
set
    withdrawn_at = now(),
    withdrawn_by = %(by)s
where
    connection = %(connection)s
    and entity = %(entity)s
    and field = %(field)s
    and withdrawn_at is null;

-- name: keep_rule
-- One field in one direction.
insert into cdc.field_rules (rule, connection, entity, field, take, kept_by, reason)
values (%(rule)s, %(connection)s, %(entity)s, %(field)s, %(take)s, %(by)s, %(reason)s);

-- name: withdraw_rule
-- The rule of the model's yml holds again.
update cdc.field_rules
set
    withdrawn_at = now(),
    withdrawn_by = %(by)s
where
    rule = %(rule)s
    and withdrawn_at is null
returning connection, entity, field, take;

-- name: waiting_for
-- Keys of which this field waits for a person: a new rule may settle it.
select
    connection,
    entity,
    key
from cdc.links
where
    connection = %(connection)s
    and entity = %(entity)s
    and jsonb_path_exists(two_way, '$.*.conflict')
    and two_way -> %(field)s ? 'conflict';
