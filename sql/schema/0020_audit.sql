-- additive
-- The audit trail: who decided what, what was sent, what became of it. Triggers fill an inbox without a lock; one sealer moves
-- its rows into a chain of digests. Nothing in the chain is personal data, so that a person can be forgotten and it stays valid.

-- A digest of a row is salted: once a forgotten person's row has another salt, nobody can try names against the old digest.
alter table cdc.decisions add column salt uuid not null default gen_random_uuid();
alter table cdc.calls add column salt uuid not null default gen_random_uuid();
alter table cdc.links
add column link_id uuid not null default gen_random_uuid(),
add column salt uuid not null default gen_random_uuid();
comment on column cdc.links.link_id is 'Name of this link in the audit, which holds no key: some keys are made of an e-mail';

-- Which models and lookups made an entry, and what it was made from beside them.
alter table cdc.outbox
add column build text,
add column origin jsonb;
alter table cdc.outbox_done
add column salt uuid not null default gen_random_uuid(),
add column build text,
add column origin jsonb;
comment on column cdc.outbox.build is 'The set of models and lookups in force when this entry was made';
comment on column cdc.outbox.origin
is 'What it was made from beside the models: snapshot and version of the reading, and of the link if_taken, yielded, overrides';

create table cdc.audit_inbox (
    id bigint generated always as identity primary key,
    noted_at timestamptz not null default now(),
    kind text not null,
    subject text not null,
    fact text not null
);
comment on table cdc.audit_inbox is 'Facts that triggers noted and the sealer has not chained yet';

create table cdc.audit (
    position bigint primary key,
    noted_at timestamptz not null,
    kind text not null,
    subject text not null,
    fact text not null,
    previous text not null,
    digest text not null,
    sealed_at timestamptz not null default now()
);
comment on table cdc.audit is 'Append-only: facts in a chain, each with the digest of the one before';
comment on column cdc.audit.subject is 'Which decision, entry, call, link or build: never a key, which may name a person';
comment on column cdc.audit.fact is 'JSON as text, exactly as it was hashed: ids, hashes, amounts, who, when';
comment on column cdc.audit.digest
is 'sha256 (hex) of previous, position, noted_at (UTC, 2026-01-31T23:59:59.123456Z), kind, subject and fact, joined by line feeds';
create index audit_subject on cdc.audit (kind, subject, position);

create table cdc.forgettings (
    forgetting uuid primary key,
    forgotten_at timestamptz not null default now(),
    forgotten_by text not null,
    reason text not null,
    counts jsonb not null
);
comment on table cdc.forgettings is 'Append-only: that a person was forgotten, when, by whom, and in how many rows of which tables; not who it was';

create table cdc.forgotten_records (
    connection text not null,
    stream text not null,
    id text not null,
    forgetting uuid not null references cdc.forgettings (forgetting),
    fields text[] not null,
    primary key (connection, stream, id)
);
comment on table cdc.forgotten_records is 'Records of forgotten persons: history keeps that they change, and no longer what';
comment on column cdc.forgotten_records.fields is 'Names of fields, in small letters, that history blanks; lists and objects are blanked whole';

create table cdc.build_texts (
    hash text primary key,
    content text not null
);
comment on table cdc.build_texts is 'SQL of models, rows of lookups, functions: each text once, however many builds have it';

create table cdc.build_parts (
    build text not null references cdc.builds (build),
    kind text not null check (kind in ('model', 'lookup', 'source', 'function', 'config')),
    layer text not null,
    name text not null,
    hash text,
    parents text[] not null default '{}',
    primary key (build, layer, name)
);
comment on table cdc.build_parts is 'What each build is made of; parents as layer.name';

create table cdc.links_before (
    link_id uuid not null,
    at timestamptz not null default now(),
    version bigint not null,
    txid xid8 not null default pg_current_xact_id(),
    before jsonb not null
);
comment on table cdc.links_before is 'What models read of a link, as it was before each change: past entries are computed again with it';
create index links_before_link on cdc.links_before (link_id, version);
create index links_before_version on cdc.links_before (version);

-- Which transaction wrote a row of history: whether an earlier reading saw it. Rows from before this migration have none.
alter table cdc.history add column txid xid8;
alter table cdc.history alter column txid set default pg_current_xact_id();

create function cdc.digest(salt uuid, content jsonb) returns text
language sql
immutable
as $$
    select encode(sha256(convert_to(coalesce(salt::text, '') || jsonb_strip_nulls(content)::text, 'UTF8')), 'hex')
$$;
comment on function cdc.digest (uuid, jsonb) is 'Digest of an audited row; a column that it does not have yet counts as null';

-- Times in JSON are written in the zone of the session: everything here says UTC. Triggers note with the rights of their owner,
-- so that no role needs the right to write facts by itself.
create function cdc.note_decisions() returns trigger
language plpgsql
security definer
set search_path = pg_catalog, cdc
set timezone = 'UTC'
as $$
begin
    insert into cdc.audit_inbox (kind, subject, fact)
    select
        'decision',
        noted.decision::text,
        jsonb_build_object(
            'at', noted.decided_at, 'by', noted.decided_by, 'verb', noted.verb, 'connection', noted.connection,
            'entity', noted.entity, 'digest', cdc.digest(noted.salt, to_jsonb(noted) - 'salt')
        )::text
    from noted;
    return null;
end
$$;

create function cdc.note_entries() returns trigger
language plpgsql
security definer
set search_path = pg_catalog, cdc
set timezone = 'UTC'
as $$
begin
    insert into cdc.audit_inbox (kind, subject, fact)
    select
        'entry',
        noted.entry::text,
        jsonb_build_object(
            'at', noted.finished_at, 'connection', noted.connection, 'entity', noted.entity, 'operation', noted.operation,
            'outcome', noted.outcome, 'target_id', noted.target_id, 'amount', noted.amount, 'currency', noted.currency,
            'build', noted.build, 'call', noted.call, 'run', noted.run,
            'digest', cdc.digest(noted.salt, to_jsonb(noted) - 'salt')
        )::text
    from noted;
    return null;
end
$$;

create function cdc.call_as_sent(call jsonb) returns jsonb
language sql
immutable
as $$
    select call - '{salt,worker,deadline,outcome,status,answer,asked,settled_at}'::text[]
$$;
comment on function cdc.call_as_sent (jsonb) is 'What of a call never changes';

create function cdc.call_as_ended(call jsonb) returns jsonb
language sql
immutable
as $$
    select jsonb_build_object(
        'outcome', call -> 'outcome', 'status', call -> 'status', 'answer', call -> 'answer', 'asked', call -> 'asked',
        'settled_at', call -> 'settled_at'
    )
$$;
comment on function cdc.call_as_ended (jsonb) is 'What became of a call';

create function cdc.note_calls() returns trigger
language plpgsql
security definer
set search_path = pg_catalog, cdc
set timezone = 'UTC'
as $$
begin
    insert into cdc.audit_inbox (kind, subject, fact)
    select
        'call sent',
        noted.call::text,
        jsonb_build_object(
            'at', noted.sent_at, 'number', noted.number, 'connection', noted.connection, 'entity', noted.entity,
            'operation', noted.operation, 'entries', noted.entries, 'run', noted.run,
            'digest', cdc.digest(noted.salt, cdc.call_as_sent(to_jsonb(noted)))
        )::text
    from noted;
    return null;
end
$$;

create function cdc.note_call_endings() returns trigger
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
            'digest', cdc.digest(noted.salt, cdc.call_as_ended(to_jsonb(noted)))
        )::text
    from noted
    inner join known on noted.call = known.call
    where
        (noted.outcome, noted.status, noted.answer, noted.asked, noted.settled_at, noted.salt)
        is distinct from (known.outcome, known.status, known.answer, known.asked, known.settled_at, known.salt);
    -- Only a forgotten person's call gets another salt: what was sent is noted anew, without that person.
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
    return null;
end
$$;

create function cdc.link_content(link jsonb) returns jsonb
language sql
immutable
as $$
    select jsonb_build_object(
        'connection', link -> 'connection', 'entity', link -> 'entity', 'key', link -> 'key',
        'target_id', link -> 'target_id', 'generation', link -> 'generation', 'is_gone', link -> 'is_gone'
    )
$$;
comment on function cdc.link_content (jsonb) is 'What the audit knows of a link: our key and the record of the target';

create function cdc.link_read(link jsonb) returns jsonb
language sql
immutable
as $$
    select jsonb_build_object(
        'model', link -> 'model', 'source_connection', link -> 'source_connection', 'source_id', link -> 'source_id',
        'target_id', link -> 'target_id', 'followed_id', link -> 'followed_id', 'is_gone', link -> 'is_gone',
        'said', link -> 'said', 'generation', link -> 'generation'
    )
$$;
comment on function cdc.link_read (jsonb) is 'What models read of a link';

create function cdc.note_links() returns trigger
language plpgsql
security definer
set search_path = pg_catalog, cdc
set timezone = 'UTC'
as $$
begin
    insert into cdc.audit_inbox (kind, subject, fact)
    select
        'link',
        noted.link_id::text,
        jsonb_build_object(
            'at', noted.updated_at, 'connection', noted.connection, 'entity', noted.entity, 'target_id', noted.target_id,
            'generation', noted.generation, 'is_gone', noted.is_gone,
            'digest', cdc.digest(noted.salt, cdc.link_content(to_jsonb(noted)))
        )::text
    from noted
    where noted.target_id is not null;
    insert into cdc.links_before (link_id, version, before)
    select noted.link_id, nextval('cdc.version'), '{}'::jsonb
    from noted
    where noted.target_id is not null or noted.said is not null;
    return null;
end
$$;

-- By row and only for news: most updates of links change neither, and cost no more than looking.
create function cdc.note_link_change() returns trigger
language plpgsql
security definer
set search_path = pg_catalog, cdc
set timezone = 'UTC'
as $$
begin
    insert into cdc.audit_inbox (kind, subject, fact)
    values (
        'link',
        new.link_id::text,
        jsonb_build_object(
            'at', new.updated_at, 'connection', new.connection, 'entity', new.entity, 'target_id', new.target_id,
            'generation', new.generation, 'is_gone', new.is_gone,
            'digest', cdc.digest(new.salt, cdc.link_content(to_jsonb(new)))
        )::text
    );
    return null;
end
$$;

create function cdc.remember_link() returns trigger
language plpgsql
security definer
set search_path = pg_catalog, cdc
as $$
begin
    -- What a forgotten person's link said is not to be remembered.
    if coalesce(current_setting('tieout.forgetting', true), '') = '' then
        insert into cdc.links_before (link_id, version, before)
        values (old.link_id, nextval('cdc.version'), jsonb_strip_nulls(cdc.link_read(to_jsonb(old))));
    end if;
    return null;
end
$$;

create function cdc.note_builds() returns trigger
language plpgsql
security definer
set search_path = pg_catalog, cdc
set timezone = 'UTC'
as $$
begin
    insert into cdc.audit_inbox (kind, subject, fact)
    select
        'build',
        noted.build,
        jsonb_build_object('at', noted.switched_at, 'digest', cdc.digest(null, to_jsonb(noted)))::text
    from noted
    where noted.switched_at is not null;
    return null;
end
$$;

create function cdc.note_forgettings() returns trigger
language plpgsql
security definer
set search_path = pg_catalog, cdc
set timezone = 'UTC'
as $$
begin
    insert into cdc.audit_inbox (kind, subject, fact)
    select
        'forgetting',
        noted.forgetting::text,
        jsonb_build_object(
            'at', noted.forgotten_at, 'by', noted.forgotten_by, 'counts', noted.counts,
            'digest', cdc.digest(noted.forgetting, to_jsonb(noted))
        )::text
    from noted;
    return null;
end
$$;

create trigger audit after insert on cdc.decisions
referencing new table as noted for each statement execute function cdc.note_decisions();
create trigger audit_forgotten after update on cdc.decisions
referencing new table as noted for each statement execute function cdc.note_decisions();
create trigger audit after insert on cdc.outbox_done
referencing new table as noted for each statement execute function cdc.note_entries();
create trigger audit_forgotten after update on cdc.outbox_done
referencing new table as noted for each statement execute function cdc.note_entries();
create trigger audit after insert on cdc.calls
referencing new table as noted for each statement execute function cdc.note_calls();
create trigger audit_endings after update on cdc.calls
referencing old table as known new table as noted for each statement execute function cdc.note_call_endings();
create trigger audit after insert on cdc.links
referencing new table as noted for each statement execute function cdc.note_links();
create trigger audit_changes after update on cdc.links for each row
when (
    (new.target_id, new.generation, new.is_gone, new.salt, new.key)
    is distinct from (old.target_id, old.generation, old.is_gone, old.salt, old.key)
)
execute function cdc.note_link_change();
create trigger remember after update on cdc.links for each row
when (
    (new.target_id, new.followed_id, new.is_gone, new.said, new.source_id, new.model)
    is distinct from (old.target_id, old.followed_id, old.is_gone, old.said, old.source_id, old.model)
)
execute function cdc.remember_link();
create trigger audit after insert on cdc.builds
referencing new table as noted for each statement execute function cdc.note_builds();
create trigger audit_again after update on cdc.builds
referencing new table as noted for each statement execute function cdc.note_builds();
create trigger audit after insert on cdc.forgettings
referencing new table as noted for each statement execute function cdc.note_forgettings();

-- What stands stays: an ordinary statement is refused. The owner of a table can switch triggers off; `tieout audit verify` then
-- finds what differs from the chain, and the head outside the database shows a chain that was made anew.
create function cdc.refuse_change() returns trigger
language plpgsql
as $$
begin
    if tg_op = 'UPDATE' and coalesce(current_setting('tieout.forgetting', true), '') <> '' then
        return new;
    end if;
    raise exception 'cdc.% is append-only', tg_table_name using
        errcode = 'insufficient_privilege',
        hint = 'A person is forgotten with `tieout forget`; everything else stays as it was recorded.';
end
$$;

create function cdc.refuse_always() returns trigger
language plpgsql
as $$
begin
    if tg_op = 'DELETE' and tg_table_name = 'audit_inbox' and coalesce(current_setting('tieout.sealing', true), '') <> '' then
        return old;
    end if;
    raise exception 'cdc.% is append-only', tg_table_name using
        errcode = 'insufficient_privilege', hint = 'The audit trail is only added to.';
end
$$;

create trigger stands before update or delete on cdc.decisions for each row execute function cdc.refuse_change();
create trigger stands before update or delete on cdc.outbox_done for each row execute function cdc.refuse_change();
create trigger stands before update or delete on cdc.history for each row execute function cdc.refuse_change();
create trigger stands before update or delete on cdc.proofs for each row execute function cdc.refuse_change();
create trigger stands before delete on cdc.calls for each row execute function cdc.refuse_change();
create trigger stands_as_sent before update on cdc.calls for each row
when (
    (
        old.settled_at is not null
        and (new.outcome, new.status, new.answer, new.asked, new.settled_at)
        is distinct from (old.outcome, old.status, old.answer, old.asked, old.settled_at)
    )
    or (
        new.call, new.number, new.connection, new.entity, new.operation, new.entries, new.keys, new.method, new.path, new.body,
        new.body_hash, new.run, new.sent_at, new.salt
    ) is distinct from (
        old.call, old.number, old.connection, old.entity, old.operation, old.entries, old.keys, old.method, old.path, old.body,
        old.body_hash, old.run, old.sent_at, old.salt
    )
)
execute function cdc.refuse_change();
create trigger stands before update or delete on cdc.audit for each row execute function cdc.refuse_always();
create trigger stands before update or delete on cdc.audit_inbox for each row execute function cdc.refuse_always();
create trigger stands before update or delete on cdc.forgettings for each row execute function cdc.refuse_always();
create trigger stands_whole before truncate on cdc.decisions for each statement execute function cdc.refuse_always();
create trigger stands_whole before truncate on cdc.outbox_done for each statement execute function cdc.refuse_always();
create trigger stands_whole before truncate on cdc.outbox_done_default for each statement execute function cdc.refuse_always();
create trigger stands_whole before truncate on cdc.history for each statement execute function cdc.refuse_always();
create trigger stands_whole before truncate on cdc.history_default for each statement execute function cdc.refuse_always();
create trigger stands_whole before truncate on cdc.proofs for each statement execute function cdc.refuse_always();
create trigger stands_whole before truncate on cdc.calls for each statement execute function cdc.refuse_always();
create trigger stands_whole before truncate on cdc.audit for each statement execute function cdc.refuse_always();
create trigger stands_whole before truncate on cdc.audit_inbox for each statement execute function cdc.refuse_always();

-- Saved plans: what happened to them, and by whom.
create function cdc.note_plan_events() returns trigger
language plpgsql
security definer
set search_path = pg_catalog, cdc
set timezone = 'UTC'
as $$
begin
    insert into cdc.audit_inbox (kind, subject, fact)
    select
        'plan',
        noted.event::text,
        jsonb_build_object(
            'at', noted.happened_at, 'plan', noted.plan, 'what', noted.what, 'by', noted.by_whom,
            'digest', cdc.digest(noted.salt, to_jsonb(noted) - 'salt')
        )::text
    from noted;
    return null;
end
$$;
do $$
begin
    if to_regclass('cdc.plan_events') is not null then
        alter table cdc.plan_events add column salt uuid not null default gen_random_uuid();
        create trigger audit after insert on cdc.plan_events
        referencing new table as noted for each statement execute function cdc.note_plan_events();
        create trigger audit_forgotten after update on cdc.plan_events
        referencing new table as noted for each statement execute function cdc.note_plan_events();
        create trigger stands before update or delete on cdc.plan_events for each row execute function cdc.refuse_change();
        create trigger stands before update or delete on cdc.plan_entries for each row execute function cdc.refuse_change();
        create trigger stands before update or delete on cdc.plans for each row execute function cdc.refuse_change();
    end if;
end
$$;

-- A forgotten person's record goes on changing at its source: history keeps that fields changed, not what stood in them.
create function cdc.without_person(changed jsonb, fields text[]) returns jsonb
language sql
immutable
as $$
    select jsonb_object_agg(
        field.key,
        case
            when jsonb_typeof(field.value) in ('object', 'array') or lower(field.key) = any(fields) then '"[forgotten]"'::jsonb
            else field.value
        end
    )
    from jsonb_each(changed) as field
$$;

create function cdc.keep_forgotten() returns trigger
language plpgsql
security definer
set search_path = pg_catalog, cdc
as $$
declare
    personal text[];
begin
    select forgotten.fields into personal
    from cdc.forgotten_records as forgotten
    where
        forgotten.connection = new.connection
        and forgotten.stream = new.stream
        and forgotten.id = new.id;
    if personal is not null then
        new.before := cdc.without_person(new.before, personal);
        new.after := cdc.without_person(new.after, personal);
    end if;
    return new;
end
$$;
create trigger forgotten before insert on cdc.history for each row
when (new.before is not null or new.after is not null)
execute function cdc.keep_forgotten();

-- What stood before there was an audit is where the chain begins.
set local timezone = 'UTC';
insert into cdc.audit_inbox (kind, subject, fact)
select
    'decision',
    noted.decision::text,
    jsonb_build_object('opening', true, 'at', noted.decided_at, 'digest', cdc.digest(noted.salt, to_jsonb(noted) - 'salt'))::text
from cdc.decisions as noted
order by noted.decision;
insert into cdc.audit_inbox (kind, subject, fact)
select
    'entry',
    noted.entry::text,
    jsonb_build_object('opening', true, 'at', noted.finished_at, 'digest', cdc.digest(noted.salt, to_jsonb(noted) - 'salt'))::text
from cdc.outbox_done as noted
order by noted.entry;
insert into cdc.audit_inbox (kind, subject, fact)
select
    'call sent',
    noted.call::text,
    jsonb_build_object('opening', true, 'at', noted.sent_at, 'digest', cdc.digest(noted.salt, cdc.call_as_sent(to_jsonb(noted))))::text
from cdc.calls as noted
order by noted.number;
insert into cdc.audit_inbox (kind, subject, fact)
select
    'call ended',
    noted.call::text,
    jsonb_build_object('opening', true, 'digest', cdc.digest(noted.salt, cdc.call_as_ended(to_jsonb(noted))))::text
from cdc.calls as noted
where noted.outcome is not null
order by noted.number;
insert into cdc.audit_inbox (kind, subject, fact)
select
    'link',
    noted.link_id::text,
    jsonb_build_object(
        'opening', true, 'at', noted.updated_at, 'digest', cdc.digest(noted.salt, cdc.link_content(to_jsonb(noted)))
    )::text
from cdc.links as noted
where noted.target_id is not null
order by noted.connection, noted.entity, noted.key;
insert into cdc.audit_inbox (kind, subject, fact)
select
    'build',
    noted.build,
    jsonb_build_object('opening', true, 'at', noted.switched_at, 'digest', cdc.digest(null, to_jsonb(noted)))::text
from cdc.builds as noted
where noted.switched_at is not null
order by noted.switched_at;
