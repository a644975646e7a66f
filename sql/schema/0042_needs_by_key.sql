-- additive
-- The references of an entry, each looked up by its key. Joined, they were taken for a hundred an entry, and the planner read all
-- links for each entry that waits until there were ten thousand of them.

create or replace function cdc.needs(of_connection text, waits_for jsonb)
returns table (connection text, entity text, key text, is_waited_for boolean, is_nothing boolean)
language sql
stable
as $$
    select
        needed.connection,
        needed.entity,
        needed.key,
        case
            when needed.gone then links.target_id is not null and not links.is_gone and head.entry is not null
            else
                links.target_id is null
                or links.is_gone
                or coalesce(head.held_for = 'answer differs', false)
                or (needed.settled and (head.entry is not null or cdc.is_provisional(links.said)))
        end as is_waited_for,
        not needed.gone and (links.target_id is null or links.is_gone) and head.entry is null as is_nothing
    from (
        select
            coalesce(listed.connection, of_connection) as connection,
            listed.entity,
            listed.key,
            coalesce(listed.settled, false) as settled,
            coalesce(listed.gone, false) as gone
        from jsonb_to_recordset(waits_for) as listed (connection text, entity text, key text, settled boolean, gone boolean)
    ) as needed
    left join lateral (
        select
            link.target_id,
            link.is_gone,
            link.said
        from cdc.links as link
        where
            link.connection = needed.connection
            and link.entity = needed.entity
            and link.key = needed.key
        offset 0
    ) as links
        on true
    left join lateral (
        select
            open_one.entry,
            open_one.held_for
        from cdc.outbox as open_one
        where
            open_one.connection = needed.connection
            and open_one.entity = needed.entity
            and open_one.key = needed.key
        offset 0
    ) as head
        on true
$$;
