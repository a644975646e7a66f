-- additive
-- Fields that both sides may change: what a link must remember of them, and the rules that people kept.

alter table cdc.links add column two_way jsonb not null default '{}'::jsonb;
comment on column cdc.links.two_way is 'By field that both sides send: source, value, number, conflict, turns (cdc/both_ways.py)';
create index links_conflicts on cdc.links (connection, entity, key) where jsonb_path_exists(two_way, '$.*.conflict');

-- To say which of two changes is the newer one, by the clock of the system that changed.
alter table cdc.history add column modified_at timestamptz;
comment on column cdc.history.modified_at is 'The time of change as the source told it, at this change';

create table cdc.field_rules (
    rule bigint not null,
    connection text not null,
    entity text not null,
    field text not null,
    take text not null check (take in ('source', 'target', 'newest', 'hold')),
    kept_at timestamptz not null default now(),
    kept_by text not null,
    reason text,
    withdrawn_at timestamptz,
    withdrawn_by text,
    primary key (rule, connection, entity, field)
);
comment on table cdc.field_rules is 'What a person decided for a field once and for all: comes before the rule in the model''s yml until it is withdrawn';
comment on column cdc.field_rules.rule is 'One decision: the field in both directions';
create unique index field_rules_in_force on cdc.field_rules (connection, entity, field) where withdrawn_at is null;
create sequence cdc.field_rule owned by cdc.field_rules.rule;

-- Money waits for a document that does not count yet: the target would refuse it.
create function cdc.is_provisional(said jsonb) returns boolean
language sql
immutable
as $$
    select coalesce(said ->> 'Status' in ('DRAFT', 'SUBMITTED'), false)
$$;
comment on function cdc.is_provisional (jsonb)
is 'True for a document of which was agreed that somebody approves it first';

create or replace function cdc.waits(of_connection text, waits_for jsonb) returns boolean
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
                    or (coalesce(needed.settled, false) and (outbox.entry is not null or cdc.is_provisional(links.said)))
            end
    )
$$;
