-- What another set of models would say, beside the one in force.

-- name: compare
-- Rows of an outbound view in two sets that are not the same: the fields that differ, before and after.
select
    coalesce(after.row_key, before.row_key) as row_key,
    coalesce(after.line, before.line) as line,
    before.content as before,
    after.content as after
from (
    select
        view_before._key as row_key,
        {line_before} as line,
        to_jsonb(view_before) - '_source_connection' - '_source_id' as content
    from {before} as view_before
) as before
full outer join (
    select
        view_after._key as row_key,
        {line_after} as line,
        to_jsonb(view_after) - '_source_connection' - '_source_id' as content
    from {after} as view_after
) as after on before.row_key = after.row_key and before.line = after.line
where before.content is distinct from after.content
order by 1, 2;

-- name: all_rows
-- Rows of an outbound view that the other set does not have at all.
select
    relation._key as row_key,
    {line} as line,
    to_jsonb(relation) - '_source_connection' - '_source_id' as content
from {relation} as relation
order by 1, 2;

-- name: payloads
-- Rows of an outbound view that are in a target, whole: what is sent, and the target's record. Parameters: model, entity, keys,
-- control.
with driver as materialized (
    select
        connection,
        key,
        target_id,
        source_connection,
        source_id
    from cdc.links
    where
        model = %(model)s
        and entity = %(entity)s
        and key = any(%(keys)s::text[])
        and target_id is not null
        and not is_gone
)

select
    driver.connection,
    driver.key,
    wanted.content ->> '_currency' as currency,
    wanted.content ->> '_date' as day,
    jsonb_strip_nulls(wanted.content - %(control)s::text[] || {lines}) as payload,
    mirror.payload as record
from driver
cross join lateral (
    select to_jsonb(outbound.*) as content
    from {view} as outbound
    where
        outbound._source_connection = driver.source_connection
        and outbound._source_id = driver.source_id
        and outbound._key = driver.key
    offset 0
) as wanted
{line_joins}
left join {mirror} as mirror
    on
        driver.connection = mirror.connection
        and driver.target_id = mirror.id;
