-- name: link
-- A link as it is.
select to_jsonb(links.*) as link
from cdc.links
where
    connection = %(connection)s
    and entity = %(entity)s
    and key = %(key)s;

-- name: next_generation
-- The key of a corrected document is free for the new one: nothing was said of it yet.
update cdc.links
set
    version = version + 1,
    generation = generation + 1,
    target_id = null,
    said = null,
    returned = null,
    line_ids = '{}'::jsonb,
    mirror_version = null,
    linked_at = null,
    is_adopted = false,
    overrides = overrides || %(overrides)s,
    correction = %(correction)s,
    approved_hash = %(approved_hash)s,
    declined_hash = null,
    rejected_hash = null,
    rejected_on = null,
    updated_at = now()
where
    connection = %(connection)s
    and entity = %(entity)s
    and key = %(key)s;

-- name: keep_old
-- The old document is still ours: nobody adopts it, and proofs know it.
insert into cdc.links
select *
from jsonb_populate_record(
    null::cdc.links,
    %(link)s || jsonb_build_object('link_id', gen_random_uuid(), 'salt', gen_random_uuid())
);

-- name: ask
-- A person wants these documents corrected.
update cdc.links
set
    correction = coalesce(links.correction, '{}'::jsonb) || jsonb_build_object('asked', %(asked)s::jsonb),
    version = links.version + 1,
    declined_hash = null,
    updated_at = now()
from unnest(%(connections)s::text[], %(entities)s::text[], %(keys)s::text[]) as given (connection, entity, key)
where
    links.connection = given.connection
    and links.entity = given.entity
    and links.key = given.key;
