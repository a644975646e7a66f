-- The proof: what the source says, what we know of each document, and what was found.

-- name: is_built
-- Does the set in force say what is to be proved?
select to_regclass('proofs.source_documents') is not null as is_built;

-- name: documents
-- Every document that a source says the target should contain, with what we know of it: its link, its open entry, its
-- drift. Parameters: target_connection, null for all of them.
select
    documents.flow,
    documents.entity,
    documents.key,
    documents.source_connection,
    documents.source_id,
    documents.target_connection,
    documents.number,
    documents.reference,
    documents.currency,
    documents.day,
    documents.amount,
    documents.tax,
    documents.base_amount,
    documents.account_code,
    documents.settles_entity,
    documents.settles_key,
    documents.uses_entity,
    documents.uses_key,
    documents.skip,
    links.target_id,
    coalesce(links.is_gone, false) as is_gone,
    coalesce(links.is_adopted, false) as is_adopted,
    links.declined_hash is not null as is_declined,
    links.reversal,
    outbox.state,
    outbox.operation,
    outbox.held_for,
    outbox.reason,
    outbox.cure,
    outbox.waits_for,
    heads.waits,
    drift.frozen_because
from proofs.source_documents as documents
left join cdc.links as links
    on
        documents.target_connection = links.connection
        and documents.entity = links.entity
        and documents.key = links.key
left join cdc.outbox as outbox
    on
        documents.target_connection = outbox.connection
        and documents.entity = outbox.entity
        and documents.key = outbox.key
left join cdc.drift as drift
    on
        documents.target_connection = drift.connection
        and documents.entity = drift.entity
        and documents.key = drift.key
left join lateral (
    -- Of what it waits for only the heads that are not done yet, with the reason; what itself waits is no head.
    with recursive chain as (
        select outbox.waits_for
        where outbox.state = 'waiting'
        union
        select further.waits_for
        from chain
        cross join lateral jsonb_to_recordset(chain.waits_for) as reference (entity text, key text)
        inner join cdc.outbox as further
            on
                outbox.connection = further.connection
                and reference.entity = further.entity
                and reference.key = further.key
                and further.state = 'waiting'
    )

    select string_agg(
        distinct reference.entity || ' ' || reference.key
        || coalesce(' (' || coalesce(head.reason, head.cause, head.held_for) || ')', ''),
        ', '
    ) as waits
    from chain
    cross join lateral jsonb_to_recordset(chain.waits_for) as reference (entity text, key text)
    inner join cdc.outbox as head
        on
            outbox.connection = head.connection
            and reference.entity = head.entity
            and reference.key = head.key
            and head.state <> 'waiting'
) as heads on true
where
    documents.target_connection is not null
    and (%(target_connection)s::text is null or documents.target_connection = %(target_connection)s)
order by documents.target_connection, documents.flow, documents.day, documents.key;

-- name: lines
-- The lines of what is due, by account and tax type. Parameters: target_connection.
select
    lines.entity,
    lines.key,
    lines.account_code,
    lines.tax_type,
    lines.net_amount,
    lines.tax_amount
from proofs.source_lines as lines
where lines.target_connection = %(target_connection)s
order by lines.entity, lines.key, lines.account_code, lines.tax_type;

-- name: ours
-- Every record of a target that we made or adopted: its key, whatever the source says of it now.
-- Parameters: target_connection.
select
    links.entity,
    links.key,
    links.target_id,
    links.is_gone,
    links.source_connection
from cdc.links as links
where
    links.connection = %(target_connection)s
    and links.target_id is not null;

-- name: store
-- One compared total.
insert into cdc.proofs (
    run,
    flow,
    source_connection,
    target_connection,
    currency,
    day,
    measure,
    detail,
    source_count,
    source_amount,
    target_count,
    target_amount,
    explained_count,
    explained_amount,
    is_equal,
    is_proved,
    named
)
values (
    %(run)s,
    %(flow)s,
    %(source_connection)s,
    %(target_connection)s,
    %(currency)s,
    %(day)s,
    %(measure)s,
    %(detail)s,
    %(source_count)s,
    %(source_amount)s,
    %(target_count)s,
    %(target_amount)s,
    %(explained_count)s,
    %(explained_amount)s,
    %(is_equal)s,
    %(is_proved)s,
    %(named)s
);
