-- name: chosen
-- Open entries that a person decides on, by what is given; null means any.
select
    outbox.entry,
    outbox.connection,
    outbox.entity,
    outbox.key
from cdc.outbox
where
    (%(keys)s::text[] is null or outbox.key = any(%(keys)s::text[]))
    and (%(connection)s::text is null or outbox.connection = %(connection)s)
    and (%(entity)s::text is null or outbox.entity = %(entity)s)
    and (%(model)s::text is null or outbox.model = %(model)s)
    -- As the lists name it.
    and (%(cause)s::text is null or coalesce(outbox.cause, outbox.held_for, outbox.state) = %(cause)s)
    and (
        (outbox.state = 'held' and outbox.held_for = any(%(held_for)s))
        or (%(rejected)s and outbox.state = 'rejected')
        or (%(rejected)s and outbox.state = 'in_doubt' and outbox.cause is not null)
        or outbox.state = any(%(states)s)
    )
    and outbox.cause is distinct from 'counting'
    and not coalesce(outbox.cause, '') = any(%(not_causes)s::text[])
    and (
        %(plan)s::text is null
        or exists (
            select 1
            from cdc.plan_entries as planned
            where
                planned.plan = %(plan)s
                and planned.connection = outbox.connection
                and planned.entity = outbox.entity
                and planned.key = outbox.key
                and planned.payload_hash = outbox.payload_hash
        )
    )
order by outbox.connection, outbox.entity, outbox.key;

-- name: entries
-- The chosen entries, read again now that their keys are locked.
select
    outbox.*,
    links.version,
    links.said,
    links.returned,
    links.yielded,
    mirror.payload as record,
    mirror.version as record_version
from cdc.outbox
inner join cdc.links
    on
        links.connection = outbox.connection
        and links.entity = outbox.entity
        and links.key = outbox.key
left join {mirror} as mirror
    on
        mirror.connection = links.connection
        and mirror.id = links.target_id
where
    outbox.entry = any(%(entries)s)
    and (outbox.state in ('held', 'rejected', 'waiting', 'ready') or (outbox.state = 'in_doubt' and outbox.cause is not null))
order by outbox.entry;

-- name: decide_links
-- What decisions say about links.
update cdc.links
set
    version = links.version + 1,
    approved_hash = coalesce(given.approved_hash, links.approved_hash),
    declined_hash = case when given.approved_hash is not null or given.is_retry then null else coalesce(given.declined_hash, links.declined_hash) end,
    rejected_hash = case when given.is_retry or given.approved_hash is not null then null else links.rejected_hash end,
    rejected_on = case when given.is_retry or given.approved_hash is not null then null else links.rejected_on end,
    said = coalesce(given.said, links.said),
    returned = coalesce(given.returned, links.returned),
    yielded = coalesce(given.yielded, links.yielded),
    overrides = coalesce(given.overrides, links.overrides),
    mirror_version = coalesce(given.mirror_version, links.mirror_version),
    -- Whoever declines what a reversal proposes keeps the document.
    reversal = case when given.declined_hash is null then links.reversal end,
    updated_at = now()
from jsonb_to_recordset(%(rows)s) as given (
    connection text,
    entity text,
    key text,
    approved_hash text,
    declined_hash text,
    is_retry boolean,
    said jsonb,
    returned jsonb,
    yielded jsonb,
    overrides jsonb,
    mirror_version bigint
)
where
    links.connection = given.connection
    and links.entity = given.entity
    and links.key = given.key;

-- name: let_go
-- Entries that a person let pass; whoever waits for entries is woken once this has committed.
with released as (
    update cdc.outbox
    set
        state = case when cdc.waits(outbox.connection, outbox.waits_for) then 'waiting' else 'ready' end,
        held_for = null,
        cause = null,
        reason = null,
        cure = null,
        who = null,
        not_before = now(),
        control = outbox.control - array['target_now', 'paths', 'target_version'],
        link_version = links.version,
        changed_at = now()
    from cdc.links
    where
        outbox.entry = any(%(entries)s)
        and links.connection = outbox.connection
        and links.entity = outbox.entity
        and links.key = outbox.key
    returning outbox.connection, outbox.state
)

select pg_notify('tieout_ready', told.connection)
from (select distinct released.connection from released where released.state = 'ready') as told;

-- name: record
-- Who decided what, of which payload, and why.
insert into cdc.decisions (decided_by, verb, connection, entity, key, payload_hash, reason, detail)
select
    %(by)s,
    %(verb)s,
    given.connection,
    given.entity,
    given.key,
    given.payload_hash,
    %(reason)s,
    given.detail
from jsonb_to_recordset(%(rows)s) as given (connection text, entity text, key text, payload_hash text, detail jsonb);

-- name: no_longer_new
-- Models none of whose entries the guard holds any more: their first run was looked at.
update cdc.models
set is_new = false
where
    model = any(%(models)s)
    and is_new
    and not exists (
        select 1
        from cdc.outbox
        where
            outbox.model = models.model
            and outbox.state = 'held'
            and outbox.held_for = 'guard'
    );

-- name: link
-- One link, by key, with the payload that is open or was said last, and what an open entry is held for.
select
    links.connection,
    links.entity,
    links.key,
    links.model,
    links.version,
    links.overrides,
    coalesce(outbox.payload, links.said) as payload,
    outbox.held_for,
    outbox.cure
from cdc.links
left join cdc.outbox
    on
        links.connection = outbox.connection
        and links.entity = outbox.entity
        and links.key = outbox.key
where
    links.key = %(key)s
    and (%(connection)s::text is null or links.connection = %(connection)s)
    and (%(entity)s::text is null or links.entity = %(entity)s)
order by links.connection, links.entity;

-- name: stands
-- How given keys stand: a row for each record of that key, or one without a connection where there is none.
select
    given.key,
    links.connection,
    links.entity,
    outbox.state,
    coalesce(outbox.cause, outbox.held_for) as why
from unnest(%(keys)s::text[]) with ordinality as given (key, place)
left join cdc.links
    on
        links.key = given.key
        and (%(connection)s::text is null or links.connection = %(connection)s)
        and (%(entity)s::text is null or links.entity = %(entity)s)
left join cdc.outbox
    on
        outbox.connection = links.connection
        and outbox.entity = links.entity
        and outbox.key = links.key
order by given.place, links.connection, links.entity;

-- name: causes
-- What the lists name as causes, the most frequent first.
select coalesce(outbox.cause, outbox.held_for, outbox.state) as cause
from cdc.outbox
where
    outbox.state in ('held', 'rejected')
    or (outbox.state = 'in_doubt' and outbox.cause is not null)
group by coalesce(outbox.cause, outbox.held_for, outbox.state)
order by count(*) desc, cause
limit 200;

-- name: near
-- Keys of open entries that a person may decide on, those first that begin or end most like a text.
select distinct
    outbox.key,
    (
        select max(part.letters)
        from generate_series(0, length(%(key)s::text)) as part (letters)
        where
            starts_with(outbox.key, left(%(key)s::text, part.letters))
            or right(outbox.key, part.letters) = right(%(key)s::text, part.letters)
    ) as alike
from cdc.outbox
where outbox.state in ('held', 'rejected', 'in_doubt')
order by alike desc, outbox.key
limit %(limit)s;

-- name: was_ever
-- Has any record of us, or an open entry, this model or entity (`kind`)?
select
    exists (
        select from cdc.outbox
        where case when %(kind)s = 'model' then outbox.model else outbox.entity end = %(name)s
    )
    or exists (
        select
        from cdc.connections
        inner join cdc.links
            on links.connection = connections.connection
        where
            %(kind)s = 'entity'
            and links.entity = %(name)s
    ) as was_ever;
