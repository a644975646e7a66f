-- additive
-- Going live: what was proposed to be linked, what people decided, and which targets were looked at before the first write.

create table cdc.link_proposals (
    proposal bigint generated always as identity primary key,
    run uuid,
    proposed_at timestamptz not null default now(),
    connection text not null,
    entity text not null,
    key text not null,
    target_id text not null,
    within text,
    model text not null,
    source_connection text not null,
    source_id text not null,
    score numeric not null,
    standing text not null check (standing in ('chosen', 'unsure')),
    state text not null check (state in ('open', 'approved', 'rejected', 'withdrawn')),
    is_skipped boolean not null default false,
    evidence jsonb not null,
    against jsonb not null,
    ours jsonb not null,
    theirs jsonb not null,
    decided_at timestamptz,
    decided_by text,
    reason text,
    link_version bigint
);
comment on table cdc.link_proposals is 'Pairs of an outbound row and a record that its target has already, with score and evidence; kept with what was decided';
comment on column cdc.link_proposals.within is 'Staging row that shows the record, where that is not its own (an allocation on its credit note)';
comment on column cdc.link_proposals.standing is 'chosen: sure and without a rival, approved by `link approve` alone. unsure: shown, approved only by name';
comment on column cdc.link_proposals.state is 'open until a person decides; withdrawn when a later proposal or decision replaced it';
comment on column cdc.link_proposals.is_skipped is 'The row is before the cut-over: linked as it is, never sent';
comment on column cdc.link_proposals.against is 'What differs: after approval it is held, or drift where the document may no longer change';
comment on column cdc.link_proposals.link_version is 'Version of the link that the approval made: an undo needs it unchanged';
create unique index link_proposals_open on cdc.link_proposals (connection, entity, key, target_id) where state = 'open';
create index link_proposals_key on cdc.link_proposals (connection, entity, key);
create index link_proposals_target on cdc.link_proposals (connection, entity, target_id);

create table cdc.going_live (
    connection text not null,
    entity text not null,
    proposed_at timestamptz,
    proposed_run uuid,
    opened_at timestamptz,
    opened_by text,
    how text,
    primary key (connection, entity)
);
comment on table cdc.going_live is 'Per target and entity: was it looked at what the target has already, before the first record is made there?';
comment on column cdc.going_live.how is 'empty target, linked before, nothing proposed, proposals decided, done';
