-- name: make
-- The lock of each key, before its first entry.
insert into cdc.links (connection, entity, key, model, source_connection, source_id)
select
    given.connection,
    %(entity)s,
    given.key,
    %(model)s,
    given.source_connection,
    given.source_id
from unnest(
    %(connections)s::text[], %(keys)s::text[], %(source_connections)s::text[], %(source_ids)s::text[]
) as given (connection, key, source_connection, source_id)
order by given.connection, given.key
on conflict (connection, entity, key) do nothing;

-- name: lock
-- Lock keys, in their order, waiting for whoever has them.
select links.key
from cdc.links
inner join unnest(%(connections)s::text[], %(entities)s::text[], %(keys)s::text[]) as given (connection, entity, key)
    on
        links.connection = given.connection
        and links.entity = given.entity
        and links.key = given.key
order by links.connection, links.entity, links.key
for update of links;

-- name: lock_free
-- Lock those keys that nobody has at the moment.
select links.key
from cdc.links
inner join unnest(%(keys)s::text[]) as given (key)
    on links.key = given.key
where
    links.connection = %(connection)s
    and links.entity = %(entity)s
order by links.key
for update of links skip locked;

-- name: state
-- What is known about keys: the link, the open entry, the target's record.
select
    links.connection,
    links.key,
    links.model,
    links.source_connection,
    links.source_id,
    links.version,
    links.generation,
    links.target_id,
    links.said,
    links.returned,
    links.line_ids,
    links.mirror_version,
    links.is_gone,
    links.is_adopted,
    links.followed_id,
    links.if_taken,
    links.overrides,
    links.yielded,
    links.two_way,
    links.identity,
    links.approved_hash,
    links.declined_hash,
    links.rejected_hash,
    links.correction,
    links.reversal,
    outbox.entry,
    outbox.operation,
    outbox.state,
    outbox.held_for,
    outbox.payload_hash,
    outbox.fields,
    outbox.link_version,
    outbox.control,
    outbox.waits_for,
    outbox.cause,
    outbox.reason,
    outbox.plan,
    case when outbox.plan is not null then outbox.payload end as planned,
    mirror.version as record_version,
    mirror.payload as record,
    mirror.deleted_at is not null as is_deleted
from cdc.links
inner join unnest(%(connections)s::text[], %(keys)s::text[]) as given (connection, key)
    on
        links.connection = given.connection
        and links.key = given.key
left join cdc.outbox
    on
        outbox.connection = links.connection
        and outbox.entity = links.entity
        and outbox.key = links.key
left join {mirror} as mirror
    on
        mirror.connection = links.connection
        and mirror.id = links.target_id
where links.entity = %(entity)s;

-- name: no_mirror
-- In place of a staging table, for an entity that is not mirrored.
(
    select
        null::text as connection,
        null::text as id,
        null::jsonb as payload,
        null::bigint as version,
        null::timestamptz as deleted_at
    where false
)

-- name: patch
-- What a diff learnt about links.
update cdc.links
set
    said = coalesce(given.said, links.said),
    returned = coalesce(given.returned, links.returned),
    yielded = coalesce(given.yielded, links.yielded),
    two_way = coalesce(given.two_way, links.two_way),
    identity = coalesce(given.identity, links.identity),
    mirror_version = coalesce(given.mirror_version, links.mirror_version),
    followed_id = coalesce(given.followed_id, links.followed_id),
    reversal = coalesce(given.reversal, links.reversal),
    model = given.model,
    source_connection = given.source_connection,
    source_id = given.source_id,
    updated_at = now()
from jsonb_to_recordset(%(rows)s) as given (
    connection text,
    key text,
    model text,
    source_connection text,
    source_id text,
    said jsonb,
    returned jsonb,
    yielded jsonb,
    two_way jsonb,
    identity jsonb,
    mirror_version bigint,
    followed_id text,
    reversal jsonb
)
where
    links.connection = given.connection
    and links.entity = %(entity)s
    and links.key = given.key;

-- name: records
-- Records of the target by id, to see where the ones that were merged went.
select
    mirror.connection,
    mirror.id,
    mirror.payload
from {mirror} as mirror
inner join unnest(%(connections)s::text[], %(ids)s::text[]) as given (connection, id)
    on
        mirror.connection = given.connection
        and mirror.id = given.id
where mirror.deleted_at is null;

-- name: targets
-- The records that references are replaced by; where the target merged one into another, the survivor. Each is looked up by its
-- key, before it is asked whether it is linked: while a first drain links thousands, the planner takes them for none, and would
-- read all that are linked instead.
select
    links.connection,
    links.entity,
    links.key,
    coalesce(links.followed_id, links.target_id) as target_id,
    coalesce(links.said, '{}'::jsonb) || coalesce(links.returned, '{}'::jsonb) as returned
from unnest(%(connections)s::text[], %(entities)s::text[], %(keys)s::text[]) as given (connection, entity, key)
cross join lateral (
    select
        link.connection,
        link.entity,
        link.key,
        link.target_id,
        link.followed_id,
        link.is_gone,
        link.said,
        link.returned
    from cdc.links as link
    where
        link.connection = given.connection
        and link.entity = given.entity
        and link.key = given.key
    offset 0
) as links
where
    links.target_id is not null
    and (%(also_gone)s or not links.is_gone);

-- name: linked_elsewhere
-- Keys that are linked, or on their way, in another target connection.
select
    links.key,
    links.connection
from cdc.links
left join cdc.outbox
    on
        outbox.connection = links.connection
        and outbox.entity = links.entity
        and outbox.key = links.key
where
    links.model = %(model)s
    and links.entity = %(entity)s
    and links.key = any(%(keys)s)
    and ((links.target_id is not null and not links.is_gone) or outbox.state in ('sending', 'in_doubt'));

-- name: again
-- Of `put_back` and `settle`: the records whose rows the diff shall look at again. What a correction made is driven by no model.
(
    select distinct
        moved.model,
        moved.source_connection,
        moved.source_id
    from moved
    where moved.model <> 'corrections'
)

-- name: put_back
-- The diff shall look at these keys again.
with moved as (
    select
        links.model,
        links.source_connection,
        links.source_id
    from cdc.links
    inner join unnest(%(connections)s::text[], %(entities)s::text[], %(keys)s::text[]) as given (connection, entity, key)
        on
            links.connection = given.connection
            and links.entity = given.entity
            and links.key = given.key
)

insert into cdc.changed_keys (model, source_connection, source_id, because)
select
    again.model,
    again.source_connection,
    again.source_id,
    %(because)s
from {again} as again;

-- name: settle
-- What a settlement says about links; the diff shall look at their keys again. Columns that are not given stay.
-- `is_said`: the target holds what the open entry says.
with moved as (
    update cdc.links
    set
        version = links.version + 1,
        target_id = coalesce(given.target_id, links.target_id),
        said = case when given.is_said then outbox.payload else coalesce(given.said, links.said) end,
        returned = case when given.is_read then given.returned else links.returned end,
        line_ids = coalesce(given.line_ids, links.line_ids),
        mirror_version = coalesce(given.mirror_version, links.mirror_version),
        generation = coalesce(given.generation, links.generation),
        yielded = coalesce(given.yielded, links.yielded),
        is_adopted = coalesce(given.is_adopted, links.is_adopted),
        is_gone = coalesce(given.is_gone, links.is_gone),
        if_taken = coalesce(given.if_taken, links.if_taken),
        rejected_hash = given.rejected_hash,
        rejected_on = given.rejected_on,
        told_as = case when given.said is null and given.is_said is not true then links.told_as end,
        linked_at = case when given.target_id is not null then coalesce(links.linked_at, now()) else links.linked_at end,
        updated_at = now()
    from jsonb_to_recordset(%(rows)s) as given (
        key text,
        entry bigint,
        target_id text,
        is_said boolean,
        said jsonb,
        is_read boolean,
        returned jsonb,
        line_ids jsonb,
        mirror_version bigint,
        generation integer,
        yielded jsonb,
        is_adopted boolean,
        is_gone boolean,
        if_taken boolean,
        rejected_hash text,
        rejected_on jsonb
    )
    left join cdc.outbox
        on outbox.entry = given.entry
    where
        links.connection = %(connection)s
        and links.entity = %(entity)s
        and links.key = given.key
    returning links.model, links.source_connection, links.source_id
)

insert into cdc.changed_keys (model, source_connection, source_id, because)
select
    again.model,
    again.source_connection,
    again.source_id,
    'settled'
from {again} as again;

-- name: owners
-- To which keys these records of a target are linked.
select
    target_id,
    key
from cdc.links
where
    connection = %(connection)s
    and entity = %(entity)s
    and target_id = any(%(target_ids)s::text[]);

-- name: lock_targets
-- One at a time links a record that the target has already: links are locked by key, and two keys may want one record.
-- In the order of the records, so that two settlements wait for each other instead of deadlocking.
select count(pg_advisory_xact_lock(hashtextextended('links/' || %(connection)s::text || '/' || %(entity)s::text || '/' || wanted.id, 0)))
from (
    select distinct given.id
    from unnest(%(target_ids)s::text[]) as given (id)
    order by given.id
    offset 0
) as wanted;

-- name: put_back_disputes
-- Entries that are held because the target moved a document may agree, now that we know where its contact went.
insert into cdc.changed_keys (model, source_connection, source_id, because)
select distinct
    outbox.model,
    outbox.source_connection,
    outbox.source_id,
    'a record that it refers to was merged in the target'
from cdc.outbox
inner join unnest(%(connections)s::text[], %(keys)s::text[]) as merged (connection, key)
    on
        outbox.connection = merged.connection
        and strpos(outbox.payload::text, to_jsonb(merged.key)::text) > 0
where outbox.held_for = 'target changed';

-- name: tell_links
-- Records of the target whose links moved: as if they had changed in every field. A record that is not mirrored yet is told when
-- it comes. ids: text[].
insert into cdc.changes (connection, stream, id, version, keys_before, keys_after)
select
    mirror.connection,
    %(stream)s,
    mirror.id,
    mirror.version,
    to_jsonb(mirror) - 'payload',
    to_jsonb(mirror) - 'payload'
from {mirror} as mirror
where
    mirror.connection = %(connection)s
    and mirror.id = any(%(ids)s::text[]);
