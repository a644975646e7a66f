-- The audit trail: sealing it, and finding where it was tampered with.

-- name: lock
-- One sealer at a time; until the end of the transaction.
select pg_advisory_xact_lock(hashtextextended('tieout.audit', 0));

-- name: begin_sealing
-- The inbox may be emptied by this transaction.
select set_config('tieout.sealing', 'on', true);

-- name: head
-- The end of the chain, also where all of it is archived; no row before the first.
select
    ends.position,
    ends.digest
from (
    (
        select
            audit.position,
            audit.digest
        from cdc.audit
        order by audit.position desc
        limit 1
    )
    union all
    (
        select
            archives.last_position,
            archives.last_digest
        from cdc.archives
        where archives.last_position is not null
        order by archives.last_position desc
        limit 1
    )
) as ends
order by ends.position desc
limit 1;

-- name: anchor
-- Where the archived part of the chain ends; no row while it is whole in the database.
select
    last_position as position,
    last_digest as digest,
    file
from cdc.archives
where last_position is not null
order by last_position desc
limit 1;

-- name: unsealed
-- Facts that are not in the chain yet.
select
    count(*) as facts,
    min(noted_at) as oldest
from cdc.audit_inbox;

-- name: take
-- The oldest facts of the inbox, which is rid of them.
with last as (
    select max(oldest.id) as id
    from (
        select id
        from cdc.audit_inbox
        order by id
        limit %(limit)s
    ) as oldest
)

delete from cdc.audit_inbox
using last
where audit_inbox.id <= last.id
returning
    audit_inbox.id,
    to_char(audit_inbox.noted_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as noted_at,
    audit_inbox.kind,
    audit_inbox.subject,
    audit_inbox.fact;

-- name: chain
-- The chain in its order, a range at a time.
select
    position,
    to_char(noted_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as noted_at,
    kind,
    subject,
    fact,
    previous,
    digest
from cdc.audit
where position > %(after)s
order by position
limit %(limit)s;

-- name: at
-- One position of the chain.
select
    position,
    digest
from cdc.audit
where position = %(position)s;

-- name: differing
-- Rows of an audited table that are not as the audit recorded them. {kept}: subject, digest and must_be_known of each row now.
with noted as (
    select
        known.subject,
        known.fact,
        known.position
    from cdc.audit as known
    where known.kind = %(kind)s
    union all
    select
        waiting.subject,
        waiting.fact,
        -- After everything that is sealed.
        4611686018427387904 + waiting.id
    from cdc.audit_inbox as waiting
    where waiting.kind = %(kind)s
),

latest as (
    select distinct on (noted.subject)
        noted.subject,
        noted.position,
        noted.fact::jsonb ->> 'digest' as digest,
        (noted.fact::jsonb ->> 'at')::timestamptz as at
    from noted
    order by noted.subject, noted.position desc
)

select
    coalesce(latest.subject, kept.subject) as subject,
    latest.position,
    case
        when kept.subject is null then 'missing'
        when latest.subject is null then 'inserted'
        else 'changed'
    end as what
from latest
full join ({kept}) as kept on latest.subject = kept.subject
where
    (
        kept.subject is null
        and not exists (
            -- It left with its month. A call has the month in which it was sent; where that fact is archived, so is the call.
            select 1
            from cdc.archives
            cross join lateral (
                select
                    case %(kind)s::text
                        when 'call ended' then (
                            select (sent.fact::jsonb ->> 'at')::timestamptz
                            from cdc.audit as sent
                            where
                                sent.kind = 'call sent'
                                and sent.subject = latest.subject
                            limit 1
                        )
                        else latest.at
                    end as at
            ) as its
            where
                (
                    archives.relation = case %(kind)s::text when 'entry' then 'outbox_done' else 'calls' end
                    and %(kind)s::text in ('entry', 'call sent', 'call ended')
                    and its.at >= archives.from_at
                    and its.at < archives.until_at
                )
                or (archives.relation = 'audit' and %(kind)s::text = 'call ended' and its.at is null)
        )
    )
    or (latest.subject is null and kept.must_be_known)
    or latest.digest <> kept.digest
order by latest.position, kept.subject
limit %(limit)s;

-- name: count_kept
-- How many rows of an audited table are compared.
select count(*) as rows
from ({kept}) as kept;

-- name: kept_decision
-- Decisions as they stand.
select
    decisions.decision::text as subject,
    cdc.digest(decisions.salt, to_jsonb(decisions.*) - 'salt') as digest,
    true as must_be_known
from cdc.decisions

-- name: kept_entry
-- Finished entries as they stand.
select
    outbox_done.entry::text as subject,
    cdc.digest(outbox_done.salt, to_jsonb(outbox_done.*) - 'salt') as digest,
    true as must_be_known
from cdc.outbox_done

-- name: kept_call_sent
-- Calls as they left.
select
    calls.call::text as subject,
    cdc.digest(calls.salt, cdc.call_as_sent(to_jsonb(calls.*))) as digest,
    true as must_be_known
from cdc.calls

-- name: kept_call_ended
-- What became of calls.
select
    calls.call::text as subject,
    cdc.digest(calls.salt, cdc.call_as_ended(to_jsonb(calls.*))) as digest,
    true as must_be_known
from cdc.calls
where calls.outcome is not null

-- name: kept_link
-- Links that name a record of the target.
select
    links.link_id::text as subject,
    cdc.digest(links.salt, cdc.link_content(to_jsonb(links.*))) as digest,
    links.target_id is not null as must_be_known
from cdc.links

-- name: kept_build
-- Sets of models that were put in force.
select
    builds.build as subject,
    cdc.digest(null, to_jsonb(builds.*)) as digest,
    true as must_be_known
from cdc.builds
where builds.switched_at is not null

-- name: has_plans
-- Are there saved plans in this version?
select to_regclass('cdc.plan_events') is not null as has_plans;

-- name: kept_plan
-- What happened to saved plans.
select
    plan_events.event::text as subject,
    cdc.digest(plan_events.salt, to_jsonb(plan_events.*) - 'salt') as digest,
    true as must_be_known
from cdc.plan_events

-- name: kept_forgetting
-- Persons that were forgotten.
select
    forgettings.forgetting::text as subject,
    cdc.digest(forgettings.forgetting, to_jsonb(forgettings.*)) as digest,
    true as must_be_known
from cdc.forgettings

-- name: kept_archive
-- Months that stand in files.
select
    archives.archive::text as subject,
    cdc.digest(archives.archive, to_jsonb(archives.*)) as digest,
    true as must_be_known
from cdc.archives

-- name: named
-- Which records subjects are: what a person can look at.
select
    %(kind)s::text as kind,
    outbox_done.entry::text as subject,
    outbox_done.entity || ' ' || outbox_done.key as name
from cdc.outbox_done
where
    %(kind)s::text = 'entry'
    and outbox_done.entry::text = any(%(subjects)s::text[])
union all
select
    %(kind)s::text,
    decisions.decision::text,
    decisions.verb || ' ' || decisions.entity || ' ' || decisions.key
from cdc.decisions
where
    %(kind)s::text = 'decision'
    and decisions.decision::text = any(%(subjects)s::text[])
union all
select
    %(kind)s::text,
    links.link_id::text,
    links.entity || ' ' || links.key
from cdc.links
where
    %(kind)s::text = 'link'
    and links.link_id::text = any(%(subjects)s::text[])
union all
select
    %(kind)s::text,
    calls.call::text,
    calls.method || ' ' || calls.path
from cdc.calls
where
    starts_with(%(kind)s::text, 'call')
    and calls.call::text = any(%(subjects)s::text[]);
