-- Saved plans: what is in a batch, whether it is still so, what it binds, and what became of it.

-- name: snapshot
-- All statements of this transaction see the same outbox.
set transaction isolation level repeatable read;

-- name: in_scope
-- Open entries that a plan may hold: what would be sent, and what waits only for the yes that a plan can be given.
-- Parameters: connection, entity (null: all), key (null: all; else the beginning of keys), held_for (list).
select
    outbox.entry,
    outbox.connection,
    outbox.entity
from cdc.outbox
inner join cdc.links
    on
        outbox.connection = links.connection
        and outbox.entity = links.entity
        and outbox.key = links.key
where
    (%(connection)s::text is null or outbox.connection = %(connection)s)
    and (%(entity)s::text is null or outbox.entity = %(entity)s)
    and (%(key)s::text is null or starts_with(outbox.key, %(key)s))
    and outbox.plan is null
    and outbox.link_version = links.version
    and (
        outbox.state in ('ready', 'waiting')
        or (
            outbox.state = 'held'
            and outbox.held_for = any(%(held_for)s::text[])
            and outbox.cause is distinct from 'counting'
            and not outbox.control ? 'correction'
        )
    )
order by outbox.entry;

-- name: left_out
-- Open entries of the same scope that are not in it, by why. Parameters: as above, and entries.
select
    outbox.connection,
    outbox.entity,
    case
        when outbox.plan is not null then 'bound by plan ' || left(outbox.plan, 12)
        when outbox.state in ('sending', 'in_doubt') then 'on its way'
        when outbox.state = 'rejected' then 'dead letter: ' || coalesce(outbox.cause, 'refused')
        when outbox.cause = 'counting' then 'a diff is under way: run `tieout diff`'
        when outbox.control ? 'correction' then 'a correction is approved by itself'
        when outbox.state = 'held' then outbox.held_for || coalesce(': ' || nullif(outbox.cause, ''), '')
        when outbox.state = 'waiting' then 'waits for what is not in this plan'
        else 'its link moved: run `tieout diff`'
    end as reason,
    outbox.currency,
    count(*) as entries,
    coalesce(sum(outbox.amount), 0) as amount,
    min(outbox.key) as example
from cdc.outbox
where
    (%(connection)s::text is null or outbox.connection = %(connection)s)
    and (%(entity)s::text is null or outbox.entity = %(entity)s)
    and (%(key)s::text is null or starts_with(outbox.key, %(key)s))
    and not outbox.entry = any(%(entries)s::bigint[])
group by 1, 2, 3, 4
order by 1, 2, 3, 4;

-- name: rows
-- Entries with their links and the target's records. Parameters: entity, entries.
select
    outbox.*,
    links.version as link_now,
    links.said,
    links.target_id,
    links.generation,
    links.is_gone,
    links.if_taken,
    links.line_ids,
    links.returned,
    mirror.payload as record
from cdc.outbox
inner join cdc.links
    on
        outbox.connection = links.connection
        and outbox.entity = links.entity
        and outbox.key = links.key
left join {mirror} as mirror
    on
        links.connection = mirror.connection
        and links.target_id = mirror.id
where
    outbox.entity = %(entity)s
    and outbox.entry = any(%(entries)s::bigint[])
order by outbox.entry;

-- name: unmet
-- What these entries still wait for. Parameters: entries.
select
    candidate.entry,
    needed.connection,
    needed.entity,
    needed.key
from cdc.outbox as candidate
cross join lateral cdc.needs(candidate.connection, candidate.waits_for) as needed
where
    candidate.entry = any(%(entries)s::bigint[])
    and needed.is_waited_for
order by candidate.entry, needed.entity, needed.key;

-- name: insert_plan
-- A new plan; nothing when it is known.
insert into cdc.plans (plan, made_by, run, build, chosen, entries, summary)
values (%(plan)s, %(by)s, %(run)s, %(build)s, %(chosen)s, %(entries)s, %(summary)s)
on conflict (plan) do nothing;

-- name: insert_entries
-- Its entries.
insert into cdc.plan_entries (
    plan, position, connection, entity, key, model, source_connection, source_id, operation, state, reason, entry, link_version,
    payload_hash, digest, content, basis, needs, effects, amount, currency, document_date
)
select
    %(plan)s,
    given.position,
    given.connection,
    given.entity,
    given.key,
    given.model,
    given.source_connection,
    given.source_id,
    given.operation,
    given.state,
    given.reason,
    given.entry,
    given.link_version,
    given.payload_hash,
    given.digest,
    given.content,
    given.basis,
    given.needs,
    given.effects,
    given.amount,
    given.currency,
    given.document_date
from jsonb_to_recordset(%(rows)s) as given (
    position integer,
    connection text,
    entity text,
    key text,
    model text,
    source_connection text,
    source_id text,
    operation text,
    state text,
    reason text,
    entry bigint,
    link_version bigint,
    payload_hash text,
    digest text,
    content jsonb,
    basis jsonb,
    needs jsonb,
    effects jsonb,
    amount numeric,
    currency text,
    document_date date
);

-- name: event
-- What happened to a plan.
insert into cdc.plan_events (plan, what, by_whom, run, reason, detail)
values (%(plan)s, %(what)s, %(by)s, %(run)s, %(reason)s, %(detail)s);

-- name: plans
-- Plans, newest first, with how they stand. Parameters: beginning (of the hash; empty: all), is_open (null: any), limit.
select
    plans.plan,
    plans.made_at,
    plans.made_by,
    plans.build,
    plans.chosen,
    plans.entries,
    plans.summary,
    latest.what,
    latest.happened_at,
    latest.by_whom,
    latest.reason,
    latest.detail,
    bound.entries as bound
from cdc.plans as plans
inner join lateral (
    select events.*
    from cdc.plan_events as events
    where events.plan = plans.plan
    order by events.event desc
    limit 1
) as latest on true
cross join lateral (
    select count(*) as entries
    from cdc.outbox
    where outbox.plan = plans.plan
) as bound
where
    starts_with(plans.plan, %(beginning)s)
    and (%(is_open)s::boolean is null or %(is_open)s = (latest.what in ('started', 'resumed')))
order by latest.event desc
limit %(limit)s;

-- name: lock_plan
-- One at a time starts or ends a plan.
select plans.plan
from cdc.plans as plans
where plans.plan = %(plan)s
for update;

-- name: entries
-- The entries of a plan, with the entry that is open for each key now. Parameters: plan, keys (null: all), after, limit.
select
    planned.*,
    outbox.entry as open_entry,
    outbox.state as open_state,
    outbox.held_for as open_held_for,
    outbox.cause as open_cause,
    outbox.payload_hash as open_payload_hash
from cdc.plan_entries as planned
left join cdc.outbox
    on
        planned.connection = outbox.connection
        and planned.entity = outbox.entity
        and planned.key = outbox.key
where
    planned.plan = %(plan)s
    and (%(keys)s::text[] is null or planned.key = any(%(keys)s::text[]))
    and planned.position > %(after)s
order by planned.position
limit %(limit)s;

-- name: decided
-- What people decided about exactly these payloads since the plan was made.
select
    decisions.connection,
    decisions.entity,
    decisions.key,
    decisions.verb,
    decisions.decided_by,
    decisions.decided_at,
    decisions.reason
from cdc.plan_entries as planned
inner join cdc.plans as plans on planned.plan = plans.plan
inner join cdc.decisions as decisions
    on
        planned.connection = decisions.connection
        and planned.entity = decisions.entity
        and planned.key = decisions.key
        and planned.payload_hash = decisions.payload_hash
where
    planned.plan = %(plan)s
    and decisions.decided_at >= plans.made_at
    and decisions.verb in ('approve', 'refuse', 'discard')
order by decisions.decision;

-- name: bind
-- These entries belong to the plan: no diff replaces them, no other drain sends them.
update cdc.outbox
set
    plan = %(plan)s,
    changed_at = now()
where
    entry = any(%(entries)s::bigint[])
    and plan is null;

-- name: held_since
-- Bound entries that are not what was planned any more: held, as they were planned, until their plan is over.
update cdc.outbox
set
    state = 'held',
    held_for = 'moved',
    cause = 'moved since plan',
    reason = given.reason,
    cure = 'It is not sent. When the plan is over, the next diff makes an entry of what it should be now.',
    who = 'operator',
    changed_at = now()
from jsonb_to_recordset(%(rows)s) as given (entry bigint, reason text)
where
    outbox.entry = given.entry
    and outbox.plan is not null
    and outbox.state in ('ready', 'waiting');

-- name: has_changes
-- Is there a change that nobody fanned out yet?
select 1 as one
from cdc.changes
limit 1;

-- name: pending
-- Models whose records behind these entries changed since the last diff. Parameters: entries.
select distinct outbox.model
from cdc.outbox
where
    outbox.entry = any(%(entries)s::bigint[])
    and exists (
        select 1
        from cdc.changed_keys
        where
            changed_keys.model = outbox.model
            and changed_keys.source_connection = outbox.source_connection
            and changed_keys.source_id = outbox.source_id
    );

-- name: bound_states
-- Bound entries of a plan, by target, state, and whether they are to be sent only later.
select
    outbox.connection,
    outbox.state,
    count(*) as entries
from cdc.outbox
where outbox.plan = %(plan)s
group by outbox.connection, outbox.state;

-- name: unbind
-- The plan is over for these entries.
update cdc.outbox
set
    plan = null,
    changed_at = now()
where outbox.plan = %(plan)s
returning
    outbox.connection,
    outbox.entity,
    outbox.key;

-- name: bound_keys
-- Keys of the entries that a plan binds.
select
    outbox.connection,
    outbox.entity,
    outbox.key
from cdc.outbox
where outbox.plan = %(plan)s
order by outbox.connection, outbox.entity, outbox.key;

-- name: fates
-- What became of each entry of a started plan.
select
    planned.connection,
    planned.entity,
    planned.key,
    planned.operation,
    planned.amount,
    planned.currency,
    outbox.entry is not null as is_open,
    coalesce(
        outbox.state,
        done.outcome,
        (
            select 'archived'
            from cdc.archives
            inner join cdc.plans on archives.until_at > plans.made_at
            where
                archives.relation = 'outbox_done'
                and plans.plan = planned.plan
            limit 1
        )
    ) as state,
    outbox.held_for,
    case when outbox.entry is not null then outbox.cause end as cause,
    case when outbox.entry is not null then outbox.reason else done.reason end as reason,
    coalesce(outbox.attempts, done.attempts, 0) as attempts
from cdc.plan_entries as planned
left join cdc.outbox
    on
        planned.plan = outbox.plan
        and planned.connection = outbox.connection
        and planned.entity = outbox.entity
        and planned.key = outbox.key
left join lateral (
    select
        ended.outcome,
        ended.reason,
        ended.attempts
    from cdc.outbox_done as ended
    where
        ended.plan = planned.plan
        and ended.connection = planned.connection
        and ended.entity = planned.entity
        and ended.key = planned.key
    order by ended.entry desc, ended.finished_at desc
    limit 1
) as done on true
where planned.plan = %(plan)s
order by planned.position;

-- name: afterwards
-- Outbound models that follow what the given entities of a system show, but write to another system.
-- Parameters: system, tables.
select
    models.model,
    models.system,
    models.entity,
    rule.value ->> 'table' as follows
from cdc.models as models
cross join lateral jsonb_array_elements(models.config -> 'dirty') as rule (value)
where
    models.kind = 'outbound'
    and models.system <> %(system)s
    and rule.value ->> 'kind' <> 'ignored'
    and rule.value ->> 'table' = any(%(tables)s::text[])
order by models.model, rule.value ->> 'table';
