-- Going live: finding the records that a target has already, and linking them without a write.

-- name: drivers
-- All driving records of an outbound view; with days given, those of rows that are dated between them.
-- Parameters: since, until (null: all).
insert into sweep_drivers (source_connection, source_id)
select distinct
    outbound._source_connection,
    outbound._source_id
from {view} as outbound
where
    outbound._source_connection is not null
    and outbound._source_id is not null
    and (%(since)s::date is null or outbound._date between %(since)s::date and %(until)s::date)
order by outbound._source_connection, outbound._source_id;

-- name: make_room_for_rows
-- What drives the rows that have no record in their target, and how many rows of a target each drives.
create temporary table if not exists link_rows (
    model text not null,
    connection text not null,
    source_connection text not null,
    source_id text not null,
    rows bigint not null
);

-- name: open_rows
-- The rows of a model of which `ours` would tell, counted: nothing of what they say is worked out. Parameters: model, entity,
-- connection (null: any target), before_cut_over.
insert into link_rows (model, connection, source_connection, source_id, rows)
select
    %(model)s,
    outbound._to,
    outbound._source_connection,
    outbound._source_id,
    count(*)
from {view} as outbound
left join cdc.links
    on
        links.connection = outbound._to
        and links.entity = %(entity)s
        and links.key = outbound._key
where
    outbound._source_connection is not null
    and outbound._source_id is not null
    and outbound._to is not null
    and outbound._gone is null
    and (outbound._skip is null or outbound._skip = %(before_cut_over)s)
    and links.target_id is null
    and (%(connection)s::text is null or outbound._to = %(connection)s)
group by outbound._to, outbound._source_connection, outbound._source_id;

-- name: count_rows
-- How many there are, by target.
select
    connection,
    sum(rows) as rows
from link_rows
group by connection;

-- name: drivers_of_rows
-- What drives those of a model for these targets. Parameters: model, targets.
select distinct
    source_connection,
    source_id
from link_rows
where
    model = %(model)s
    and connection = any(%(targets)s)
order by source_connection, source_id;

-- name: ours
-- Rows of a model, for the given drivers, that have no record in their target: to be sent, or before the cut-over.
-- Parameters: source_connections, source_ids, entity, control, before_cut_over, keys (null: all), also_linked (true: whatever
-- is linked), origin (entity of the source; null: nobody asks what it was made from).
with driver as (
    select distinct
        given.source_connection,
        given.source_id
    from unnest(%(source_connections)s::text[], %(source_ids)s::text[]) as given (source_connection, source_id)
)

select
    wanted.content ->> '_to' as connection,
    wanted.content ->> '_key' as key,
    driver.source_connection,
    driver.source_id,
    wanted.content ->> '_skip' as skip,
    (wanted.content ->> '_total')::numeric as total,
    wanted.content ->> '_currency' as currency,
    (wanted.content ->> '_date')::date as day,
    jsonb_strip_nulls(wanted.content - %(control)s::text[] || {lines}) as payload,
    jsonb_strip_nulls(
        jsonb_build_object('if_taken', wanted.content -> '_if_taken', 'identity', wanted.content -> '_identity')
    ) as control,
    case when not links.is_gone then links.target_id end as target_id,
    (
        select array_agg(made.key order by made.key)
        from cdc.links as made
        where
            made.connection = driver.source_connection
            and made.entity = %(origin)s
            and made.target_id = driver.source_id
            and not made.is_gone
            and starts_with(made.key, (wanted.content ->> '_to') || '/')
    ) as origins
from driver
cross join lateral (
    select to_jsonb(outbound.*) as content
    from {view} as outbound
    where
        outbound._source_connection = driver.source_connection
        and outbound._source_id = driver.source_id
    offset 0
) as wanted
{line_joins}
left join cdc.links
    on
        links.connection = wanted.content ->> '_to'
        and links.entity = %(entity)s
        and links.key = wanted.content ->> '_key'
where
    wanted.content ->> '_gone' is null
    and (wanted.content ->> '_skip' is null or wanted.content ->> '_skip' = %(before_cut_over)s)
    and (%(also_linked)s or links.target_id is null)
    and (%(keys)s::text[] is null or wanted.content ->> '_key' = any(%(keys)s::text[]))
order by 1, 2;

-- name: known
-- What is known about records that rows refer to.
select
    links.entity,
    links.key,
    case when not links.is_gone then links.target_id end as target_id,
    links.said ->> 'Name' as name
from cdc.links
inner join unnest(%(entities)s::text[], %(keys)s::text[]) as given (entity, key)
    on
        links.entity = given.entity
        and links.key = given.key
where links.connection = %(connection)s;

-- name: make_room
-- Faces of both sides, and the texts under which they may meet.
create temporary table if not exists link_faces (
    connection text not null,
    is_ours boolean not null,
    id text not null,
    face text not null
);

-- name: make_room_for_blocks
-- The texts under which faces may meet.
create temporary table if not exists link_blocks (
    connection text not null,
    is_ours boolean not null,
    id text not null,
    block text not null
);

-- name: make_room_for_pairs
-- Candidates.
create temporary table if not exists link_pairs (
    ours text not null,
    theirs text not null
);

-- name: clear
-- Empty all four for the next entity.
truncate link_faces, link_blocks, link_pairs, link_rows;

-- name: theirs
-- Living records of a target that are not linked, with the fields that recognise them.
select
    staged.id as target_id,
    {fields} as record
from {table} as staged
where
    staged.connection = %(connection)s
    and staged.deleted_at is null;

-- name: linked
-- Target ids of an entity that are linked already, or that somebody said are not ours to link with a key.
select links.target_id
from cdc.links
where
    links.connection = %(connection)s
    and links.entity = %(entity)s
    and links.target_id is not null;

-- name: analyze_blocks
-- The planner must know how many there are.
analyze link_blocks;

-- name: analyze_faces
-- The same for the faces.
analyze link_faces;

-- name: pair_up
-- Only what meets under a text is compared. A text under which too many meet says nothing (a price that everybody pays).
-- Parameters: connection, most.
insert into link_pairs (ours, theirs)
select distinct
    ours.id as our_id,
    theirs.id as their_id
from (
    select blocks.block
    from link_blocks as blocks
    where blocks.connection = %(connection)s
    group by blocks.block
    having
        count(*) filter (where blocks.is_ours) > 0
        and count(*) filter (where not blocks.is_ours) > 0
        and count(*) filter (where blocks.is_ours) * count(*) filter (where not blocks.is_ours) <= %(most)s
) as useful
inner join link_blocks as ours
    on
        useful.block = ours.block
        and ours.is_ours
        and ours.connection = %(connection)s
inner join link_blocks as theirs
    on
        useful.block = theirs.block
        and not theirs.is_ours
        and theirs.connection = %(connection)s;

-- name: count_faces
-- How many records of a target were compared.
select count(*) as records
from link_faces
where
    connection = %(connection)s
    and not is_ours;

-- name: clear_pairs
-- Empty the candidates for the next target.
truncate link_pairs;

-- name: pairs
-- Candidates with both faces.
select
    link_pairs.ours,
    link_pairs.theirs,
    ours.face as our_face,
    theirs.face as their_face
from link_pairs
inner join link_faces as ours
    on
        link_pairs.ours = ours.id
        and ours.is_ours
        and ours.connection = %(connection)s
inner join link_faces as theirs
    on
        link_pairs.theirs = theirs.id
        and not theirs.is_ours
        and theirs.connection = %(connection)s;

-- name: rejected
-- Pairs of which a person said that they are not one.
select
    key,
    target_id
from cdc.link_proposals
where
    connection = %(connection)s
    and entity = %(entity)s
    and state = 'rejected';

-- name: withdraw
-- A new look replaces what the last one proposed.
update cdc.link_proposals
set state = 'withdrawn'
where
    connection = %(connection)s
    and entity = %(entity)s
    and state = 'open';

-- name: propose
-- What was found.
insert into cdc.link_proposals (
    run, connection, entity, key, target_id, within, model, source_connection, source_id, score, standing, state, is_skipped,
    evidence, against, ours, theirs
)
select
    %(run)s,
    %(connection)s,
    %(entity)s,
    given.key,
    given.target_id,
    given.within,
    given.model,
    given.source_connection,
    given.source_id,
    given.score,
    given.standing,
    'open',
    given.is_skipped,
    given.evidence,
    given.against,
    given.ours,
    given.theirs
from jsonb_to_recordset(%(rows)s) as given (
    key text,
    target_id text,
    within text,
    model text,
    source_connection text,
    source_id text,
    score numeric,
    standing text,
    is_skipped boolean,
    evidence jsonb,
    against jsonb,
    ours jsonb,
    theirs jsonb
);

-- name: looked_at
-- A person had the target's records compared with ours.
insert into cdc.going_live (connection, entity, proposed_at, proposed_run, opened_at, opened_by, how)
values (
    %(connection)s,
    %(entity)s,
    now(),
    %(run)s,
    case when %(is_open)s then now() end,
    case when %(is_open)s then %(by)s end,
    case when %(is_open)s then 'nothing proposed' end
)
on conflict (connection, entity) do update
    set
        proposed_at = excluded.proposed_at,
        proposed_run = excluded.proposed_run,
        opened_at = coalesce(going_live.opened_at, excluded.opened_at),
        opened_by = coalesce(going_live.opened_by, excluded.opened_by),
        how = coalesce(going_live.how, excluded.how);

-- name: open
-- From now on records may be made there; the first reason stays.
insert into cdc.going_live (connection, entity, opened_at, opened_by, how)
values (%(connection)s, %(entity)s, now(), %(by)s, %(how)s)
on conflict (connection, entity) do update
    set
        opened_at = coalesce(going_live.opened_at, excluded.opened_at),
        opened_by = coalesce(going_live.opened_by, excluded.opened_by),
        how = coalesce(going_live.how, excluded.how);

-- name: open_decided
-- Entities that were looked at and of which no chosen proposal is left undecided.
update cdc.going_live
set
    opened_at = now(),
    opened_by = %(by)s,
    how = 'proposals decided'
where
    going_live.connection = any(%(connections)s)
    and going_live.opened_at is null
    and going_live.proposed_at is not null
    and not exists (
        select 1
        from cdc.link_proposals
        where
            link_proposals.connection = going_live.connection
            and link_proposals.entity = going_live.entity
            and link_proposals.state = 'open'
            and link_proposals.standing = 'chosen'
    );

-- name: counts
-- How proposals stand, by target and entity, and whether the first write may come.
select
    coalesce(going_live.connection, proposals.connection) as connection,
    coalesce(going_live.entity, proposals.entity) as entity,
    going_live.proposed_at,
    going_live.opened_at,
    going_live.opened_by,
    going_live.how,
    coalesce(proposals.chosen, 0) as chosen,
    coalesce(proposals.unsure, 0) as unsure,
    coalesce(proposals.approved, 0) as approved,
    coalesce(proposals.rejected, 0) as rejected
from cdc.going_live
full join (
    select
        link_proposals.connection,
        link_proposals.entity,
        count(*) filter (where link_proposals.state = 'open' and link_proposals.standing = 'chosen') as chosen,
        count(distinct link_proposals.key) filter (
            where link_proposals.state = 'open' and link_proposals.standing = 'unsure'
        ) as unsure,
        count(*) filter (where link_proposals.state = 'approved') as approved,
        count(*) filter (where link_proposals.state = 'rejected') as rejected
    from cdc.link_proposals
    group by link_proposals.connection, link_proposals.entity
) as proposals
    on
        going_live.connection = proposals.connection
        and going_live.entity = proposals.entity
where %(connection)s::text is null or coalesce(going_live.connection, proposals.connection) = %(connection)s
order by 1, 2;

-- name: list
-- Proposals, the best first; null parameters mean any.
select
    link_proposals.proposal,
    link_proposals.connection,
    link_proposals.entity,
    link_proposals.key,
    link_proposals.target_id,
    link_proposals.score,
    link_proposals.standing,
    link_proposals.state,
    link_proposals.is_skipped,
    link_proposals.evidence,
    link_proposals.against,
    link_proposals.ours,
    link_proposals.theirs,
    link_proposals.proposed_at,
    link_proposals.decided_at,
    link_proposals.decided_by,
    link_proposals.reason
from cdc.link_proposals
where
    link_proposals.state = any(%(states)s)
    and (%(connection)s::text is null or link_proposals.connection = %(connection)s)
    and (%(entity)s::text is null or link_proposals.entity = %(entity)s)
    and (%(standing)s::text is null or link_proposals.standing = %(standing)s)
    and (%(keys)s::text[] is null or link_proposals.key = any(%(keys)s::text[]))
order by
    link_proposals.connection,
    link_proposals.entity,
    link_proposals.standing,
    link_proposals.score desc,
    link_proposals.key,
    link_proposals.target_id;

-- name: chosen
-- Proposals that a person decides on, by what is given; null means any.
select
    link_proposals.proposal,
    link_proposals.connection,
    link_proposals.entity,
    link_proposals.key,
    link_proposals.target_id,
    link_proposals.within,
    link_proposals.model,
    link_proposals.source_connection,
    link_proposals.source_id,
    link_proposals.standing,
    link_proposals.is_skipped,
    link_proposals.link_version,
    link_proposals.decided_at
from cdc.link_proposals
where
    link_proposals.state = %(state)s
    and (%(standing)s::text is null or link_proposals.standing = %(standing)s)
    and (%(connection)s::text is null or link_proposals.connection = %(connection)s)
    and (%(entity)s::text is null or link_proposals.entity = %(entity)s)
    and (%(keys)s::text[] is null or link_proposals.key = any(%(keys)s::text[]))
    and (%(target_id)s::text is null or lower(link_proposals.target_id) = lower(%(target_id)s))
    and (%(least)s::numeric is null or link_proposals.score >= %(least)s::numeric)
order by link_proposals.connection, link_proposals.entity, link_proposals.key, link_proposals.score desc;

-- name: decide
-- What was decided on proposals.
update cdc.link_proposals
set
    state = %(state)s,
    decided_at = case when %(state)s = 'open' then null else now() end,
    decided_by = case when %(state)s = 'open' then null else %(by)s end,
    reason = %(reason)s,
    link_version = given.link_version
from jsonb_to_recordset(%(rows)s) as given (proposal bigint, link_version bigint)
where link_proposals.proposal = given.proposal;

-- name: withdraw_others
-- Whoever wanted the same row or the same record gets neither.
update cdc.link_proposals
set state = 'withdrawn'
from jsonb_to_recordset(%(rows)s) as given (proposal bigint, key text, target_id text)
where
    link_proposals.connection = %(connection)s
    and link_proposals.entity = %(entity)s
    and link_proposals.state = 'open'
    and link_proposals.proposal <> given.proposal
    and (link_proposals.key = given.key or link_proposals.target_id = given.target_id);

-- name: state
-- What is known about keys that are to be linked, now that they are locked.
select
    links.key,
    links.version,
    links.target_id,
    links.generation,
    outbox.entry,
    outbox.state
from cdc.links
left join cdc.outbox
    on
        links.connection = outbox.connection
        and links.entity = outbox.entity
        and links.key = outbox.key
where
    links.connection = %(connection)s
    and links.entity = %(entity)s
    and links.key = any(%(keys)s);

-- name: records
-- Staging rows of the target by id.
select
    staged.id,
    staged.payload,
    staged.version
from {table} as staged
where
    staged.connection = %(connection)s
    and staged.id = any(%(ids)s)
    and staged.deleted_at is null;

-- name: link
-- The links that approvals make. `mirror_version` is null where the target's record is to be judged by the next diff.
update cdc.links
set
    version = links.version + 1,
    target_id = given.target_id,
    said = given.said,
    returned = given.returned,
    line_ids = given.line_ids,
    yielded = given.yielded,
    two_way = '{}'::jsonb,
    mirror_version = given.mirror_version,
    identity = coalesce(given.identity, links.identity),
    is_adopted = true,
    is_gone = false,
    approved_hash = null,
    declined_hash = null,
    rejected_hash = null,
    rejected_on = null,
    linked_at = now(),
    updated_at = now()
from jsonb_to_recordset(%(rows)s) as given (
    key text,
    target_id text,
    said jsonb,
    returned jsonb,
    line_ids jsonb,
    yielded jsonb,
    mirror_version bigint,
    identity jsonb
)
where
    links.connection = %(connection)s
    and links.entity = %(entity)s
    and links.key = given.key
returning links.key, links.version;

-- name: put_back_beside
-- Rows of other models and marts that the same records drive: what is linked, or no longer, may change what they say (a credit
-- note of an old invoice).
insert into cdc.changed_keys (model, source_connection, source_id, because)
select distinct
    beside.model,
    given.source_connection,
    given.source_id,
    %(because)s
from unnest(%(source_connections)s::text[], %(source_ids)s::text[]) as given (source_connection, source_id)
cross join cdc.models as beside
where
    beside.model <> %(model)s
    and beside.config ->> 'driver' = %(driver)s;

-- name: unlink
-- The links as they were before the approval; what was learnt about the key since goes with it.
update cdc.links
set
    version = links.version + 1,
    target_id = null,
    said = null,
    returned = null,
    line_ids = '{}'::jsonb,
    yielded = '{}'::jsonb,
    two_way = '{}'::jsonb,
    mirror_version = null,
    is_adopted = false,
    linked_at = null,
    updated_at = now()
where
    links.connection = %(connection)s
    and links.entity = %(entity)s
    and links.key = any(%(keys)s)
returning links.key;

-- name: sent_since
-- Keys of which something was sent, or is on its way, since they were linked.
select distinct sent.key
from unnest(%(keys)s::text[], %(since)s::timestamptz[]) as given (key, since)
cross join lateral (
    select given.key
    from cdc.calls
    where
        calls.connection = %(connection)s
        and calls.entity = %(entity)s
        and calls.keys @> array[given.key]
        and calls.sent_at >= given.since
        and calls.outcome is distinct from 'not sent'
    union all
    -- Calls of that time are archived: nobody looks there now, so they count as sent.
    select given.key
    from cdc.archives
    where
        archives.relation = 'calls'
        and archives.until_at > given.since
    limit 1
) as sent;

-- name: built_on
-- Records that we made ourselves and that refer to these keys.
select distinct on (given.key)
    given.key,
    referring.entity,
    referring.key as referring
from unnest(%(keys)s::text[]) as given (key)
inner join cdc.links as referring
    on
        referring.connection = %(connection)s
        and referring.target_id is not null
        and not referring.is_adopted
        and jsonb_path_exists(
            referring.said,
            '$.**."$linked" ? (@.entity == $entity && @.key == $key)',
            jsonb_build_object('entity', %(entity)s::text, 'key', given.key)
        )
order by given.key, referring.entity, referring.key;

-- name: undecided
-- Keys about which a person has to say first whether the target has them already.
select
    link_proposals.key,
    count(*) as records,
    min(link_proposals.theirs ->> 'title') as title,
    max(link_proposals.score) as score
from cdc.link_proposals
where
    link_proposals.connection = %(connection)s
    and link_proposals.entity = %(entity)s
    and link_proposals.key = any(%(keys)s)
    and link_proposals.state = 'open'
group by link_proposals.key;

-- name: release_undecided
-- Entries that were held until somebody decided, as they were before: a decision was made.
update cdc.links
set
    rejected_hash = null,
    rejected_on = null,
    version = links.version + 1,
    updated_at = now()
from cdc.outbox
where
    links.connection = %(connection)s
    and links.entity = %(entity)s
    and links.key = any(%(keys)s)
    and outbox.connection = links.connection
    and outbox.entity = links.entity
    and outbox.key = links.key
    and outbox.cause = %(cause)s;

-- name: gate
-- Entities of a target in which records are to be made, with how they stand; the gate is closed unless it was opened.
select
    wanted.entity,
    going_live.opened_at is not null as is_open,
    going_live.proposed_at,
    exists (
        select 1
        from cdc.links
        where
            links.connection = %(connection)s
            and links.entity = wanted.entity
            and links.target_id is not null
    ) as has_links
from unnest(%(entities)s::text[]) as wanted (entity)
left join cdc.going_live
    on
        going_live.connection = %(connection)s
        and going_live.entity = wanted.entity
where exists (
    select 1
    from cdc.outbox
    where
        outbox.connection = %(connection)s
        and outbox.entity = wanted.entity
        and outbox.operation = 'create'
        and outbox.state in ('ready', 'waiting')
);
