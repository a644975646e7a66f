-- name: open_entries
-- Entries of one kind that were not sent, with their links, whatever they wait for.
select
    outbox.*,
    links.target_id,
    links.line_ids,
    links.returned,
    links.generation,
    false as is_alone
from cdc.outbox
inner join cdc.links
    on
        links.connection = outbox.connection
        and links.entity = outbox.entity
        and links.key = outbox.key
where
    outbox.connection = %(connection)s
    and outbox.entity = %(entity)s
    and outbox.operation = %(operation)s
    and outbox.state in ('held', 'waiting', 'ready', 'rejected')
    and not outbox.control ? 'correction'
    and outbox.entry > %(after)s
order by outbox.entry
limit %(limit)s;

-- name: hold_rest
-- What would be sent to a target that was compared just now waits for a person.
update cdc.outbox
set
    state = 'held',
    held_for = 'guard',
    cause = %(cause)s,
    reason = 'The database was put back or copied, and the target does not show this yet. Whether a person refused it or'
    || ' paused it since, nobody knows any more.',
    cure = 'Look (`tieout plan`, `tieout holds`), then `tieout holds approve`, or refuse.',
    who = 'operator',
    changed_at = now()
where
    connection = %(connection)s
    and state in ('ready', 'waiting');

-- name: missing
-- Links to records that are not in a mirror that was just read wholly, or are marked as deleted there.
select count(*) as links
from cdc.links
left join {mirror} as mirror
    on
        mirror.connection = links.connection
        and mirror.id = links.target_id
where
    links.connection = %(connection)s
    and links.entity = %(entity)s
    and links.target_id is not null
    and not links.is_gone
    and (mirror.id is null or mirror.deleted_at is not null);

-- name: records
-- Records of a mirror by id.
select
    mirror.id,
    mirror.payload
from {mirror} as mirror
where
    mirror.connection = %(connection)s
    and mirror.id = any(%(ids)s)
    and mirror.deleted_at is null;
