-- additive
-- How each reference of an entry stands, judged in one place: what is released, what refers to nothing and what a plan waits for
-- read it from here.

-- The connection is worked out before the joins: a join that names the argument of a function cannot become part of a larger
-- statement.
create function cdc.needs(of_connection text, waits_for jsonb)
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
    left join cdc.links
        on
            links.connection = needed.connection
            and links.entity = needed.entity
            and links.key = needed.key
    left join cdc.outbox as head
        on
            head.connection = needed.connection
            and head.entity = needed.entity
            and head.key = needed.key
$$;
comment on function cdc.needs (text, jsonb)
is 'The references of an entry: is each not made, not settled or of other content than was sent; does nothing make it';

create or replace function cdc.waits(of_connection text, waits_for jsonb) returns boolean
language sql
stable
as $$
    select exists (
        select 1
        from cdc.needs(of_connection, waits_for) as needed
        where needed.is_waited_for
    )
$$;

-- A look for whoever waits for a key read all that was lately put aside to be sorted into the index.
alter index cdc.outbox_waiting set (fastupdate = off);
