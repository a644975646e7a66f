-- additive
-- What a settlement of fifty entries costs: triggers once a statement instead of once a row, digests from the columns that
-- they name instead of from whole rows, no look at a call's body to see that it did not change. What is noted is the same.

-- One pass over what an update of links really changed: for the audit, and for computing past entries again.
create function cdc.note_link_changes() returns trigger
language plpgsql
security definer
set search_path = pg_catalog, cdc
set timezone = 'UTC'
as $$
begin
    with moved as materialized (
        select
            noted.link_id,
            noted.salt,
            noted.updated_at,
            noted.connection,
            noted.entity,
            noted.key,
            noted.target_id,
            noted.generation,
            noted.is_gone,
            (noted.target_id, noted.generation, noted.is_gone, noted.salt, noted.key)
            is distinct from (known.target_id, known.generation, known.is_gone, known.salt, known.key) as is_news,
            case
                when
                    (noted.target_id, noted.followed_id, noted.is_gone, noted.said, noted.source_id, noted.model)
                    is distinct from
                    (known.target_id, known.followed_id, known.is_gone, known.said, known.source_id, known.model)
                    then jsonb_strip_nulls(jsonb_build_object(
                        'model', known.model, 'source_connection', known.source_connection, 'source_id', known.source_id,
                        'target_id', known.target_id, 'followed_id', known.followed_id, 'is_gone', known.is_gone,
                        'said', known.said, 'generation', known.generation
                    ))
            end as before
        from noted
        inner join known on noted.link_id = known.link_id
    ),

    told as (
        insert into cdc.audit_inbox (kind, subject, fact)
        select
            'link',
            moved.link_id::text,
            jsonb_build_object(
                'at', moved.updated_at, 'connection', moved.connection, 'entity', moved.entity, 'target_id', moved.target_id,
                'generation', moved.generation, 'is_gone', moved.is_gone,
                'digest', cdc.digest(moved.salt, jsonb_build_object(
                    'connection', moved.connection, 'entity', moved.entity, 'key', moved.key, 'target_id', moved.target_id,
                    'generation', moved.generation, 'is_gone', moved.is_gone
                ))
            )::text
        from moved
        where moved.is_news
    )

    -- What a forgotten person's link said is not to be remembered.
    insert into cdc.links_before (link_id, version, before)
    select moved.link_id, nextval('cdc.version'), moved.before
    from moved
    where moved.before is not null and coalesce(current_setting('tieout.forgetting', true), '') = '';
    return null;
end
$$;
drop trigger audit_changes on cdc.links;
drop trigger remember on cdc.links;
create trigger audit_changes after update on cdc.links
referencing old table as known new table as noted for each statement execute function cdc.note_link_changes();
drop function cdc.note_link_change();
drop function cdc.remember_link();

create or replace function cdc.note_call_endings() returns trigger
language plpgsql
security definer
set search_path = pg_catalog, cdc
set timezone = 'UTC'
as $$
begin
    insert into cdc.audit_inbox (kind, subject, fact)
    select
        'call ended',
        noted.call::text,
        jsonb_build_object(
            'at', coalesce(noted.settled_at, clock_timestamp()), 'outcome', noted.outcome, 'status', noted.status,
            'digest', cdc.digest(noted.salt, jsonb_build_object(
                'outcome', noted.outcome, 'status', noted.status, 'answer', noted.answer, 'asked', noted.asked,
                'settled_at', noted.settled_at
            ))
        )::text
    from noted
    inner join known on noted.call = known.call
    where
        (noted.outcome, noted.status, noted.answer, noted.asked, noted.settled_at, noted.salt)
        is distinct from (known.outcome, known.status, known.answer, known.asked, known.settled_at, known.salt);
    -- Only a forgotten person's call gets another salt: what was sent is noted anew, without that person.
    if exists (select 1 from noted inner join known on noted.call = known.call where noted.salt <> known.salt) then
        insert into cdc.audit_inbox (kind, subject, fact)
        select
            'call sent',
            noted.call::text,
            jsonb_build_object(
                'at', noted.sent_at, 'number', noted.number, 'connection', noted.connection, 'entity', noted.entity,
                'operation', noted.operation, 'entries', noted.entries, 'run', noted.run,
                'digest', cdc.digest(noted.salt, cdc.call_as_sent(to_jsonb(noted)))
            )::text
        from noted
        inner join known on noted.call = known.call
        where noted.salt <> known.salt;
    end if;
    return null;
end
$$;

-- A column that a statement does not name cannot change: only statements that name one of these are looked at.
drop trigger stands_as_sent on cdc.calls;
create trigger stands_as_sent
before update of
    call, number, connection, entity, operation, entries, keys, method, path, body, body_hash, run, sent_at, salt on cdc.calls
for each row
when (
    (
        new.call, new.number, new.connection, new.entity, new.operation, new.entries, new.keys, new.method, new.path, new.body,
        new.body_hash, new.run, new.sent_at, new.salt
    ) is distinct from (
        old.call, old.number, old.connection, old.entity, old.operation, old.entries, old.keys, old.method, old.path, old.body,
        old.body_hash, old.run, old.sent_at, old.salt
    )
)
execute function cdc.refuse_change();
create trigger stands_as_settled
before update of outcome, status, answer, asked, settled_at on cdc.calls
for each row
when (
    old.settled_at is not null
    and (new.outcome, new.status, new.answer, new.asked, new.settled_at)
    is distinct from (old.outcome, old.status, old.answer, old.asked, old.settled_at)
)
execute function cdc.refuse_change();

-- The next entries are found by outbox_next alone; how a target stands, by its states; the guard asks for held entries only.
drop index cdc.outbox_ready;
drop index cdc.outbox_model_state;
create index outbox_state on cdc.outbox (connection, state);
create index outbox_model_held on cdc.outbox (model) where state = 'held';

-- Rows of these live for seconds: room on their page for the next version, and a vacuum that does not wait for a fifth of the
-- table to be dead.
-- Payloads of up to four kilobytes stay as they are: compressing them (pglz) took more time than all else that a settlement does.
alter table cdc.outbox set (
    toast_tuple_target = 4080, fillfactor = 70,
    autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0
);
alter table cdc.links set (
    toast_tuple_target = 4080, fillfactor = 85,
    autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0
);
alter table cdc.changed_keys set (
    autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0
);
alter table cdc.changes set (
    autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0
);
alter table cdc.audit_inbox set (
    autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0
);
