-- name: in_mirror
-- Living records of a staging table by one indexed column: what a target holds already, before the first write to a key.
select
    staged.id,
    staged.payload
from {table} as staged
where
    staged.connection = %(connection)s
    and staged.{column} = any(%(values)s::text[])
    and staged.deleted_at is null
order by staged.id;
