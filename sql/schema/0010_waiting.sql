-- additive
-- What an entry waits for, and an index for rejections that a change of the target may cure.

create function cdc.waits(of_connection text, waits_for jsonb) returns boolean
language sql
stable
as $$
    select exists (
        select 1
        from jsonb_to_recordset(waits_for) as needed (connection text, entity text, key text, settled boolean, gone boolean)
        left join cdc.links
            on
                links.connection = coalesce(needed.connection, of_connection)
                and links.entity = needed.entity
                and links.key = needed.key
        left join cdc.outbox
            on
                outbox.connection = coalesce(needed.connection, of_connection)
                and outbox.entity = needed.entity
                and outbox.key = needed.key
        where
            case
                when needed.gone then links.target_id is not null and not links.is_gone and outbox.entry is not null
                else
                    links.target_id is null
                    or links.is_gone
                    or outbox.held_for = 'answer differs'
                    or (coalesce(needed.settled, false) and outbox.entry is not null)
            end
    )
$$;
comment on function cdc.waits (text, jsonb)
is 'True while a reference of an entry is not made, not settled, or shows other content than was sent';

create function cdc.refers_to_nothing(of_connection text, waits_for jsonb) returns text
language sql
stable
as $$
    select needed.entity || ' ' || needed.key
    from jsonb_to_recordset(waits_for) as needed (connection text, entity text, key text, gone boolean)
    left join cdc.links
        on
            links.connection = coalesce(needed.connection, of_connection)
            and links.entity = needed.entity
            and links.key = needed.key
    where
        not coalesce(needed.gone, false)
        and (links.target_id is null or links.is_gone)
        and not exists (
            select 1
            from cdc.outbox
            where
                outbox.connection = coalesce(needed.connection, of_connection)
                and outbox.entity = needed.entity
                and outbox.key = needed.key
        )
    order by needed.entity, needed.key
    limit 1
$$;
comment on function cdc.refers_to_nothing (text, jsonb)
is 'The first reference that is neither linked nor about to be made; null when there is none';

create index links_rejected on cdc.links (connection) where rejected_on is not null;
create index outbox_held on cdc.outbox (connection, held_for, cause) where state = 'held';
create index outbox_serial on cdc.outbox (connection, serial_by) where serial_by is not null;
create index outbox_model_state on cdc.outbox (model, state);
