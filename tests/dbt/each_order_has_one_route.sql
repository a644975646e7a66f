-- Routes of one store whose periods overlap: an order could be billed twice.
select
    one.connection,
    one.store_code,
    one.valid_from,
    other.valid_from as other_valid_from
from {{ ref('routes') }} as one
inner join {{ ref('routes') }} as other
    on
        one.connection = other.connection
        and lower(one.store_code) = lower(other.store_code)
        and (coalesce(one.valid_from, ''), one.to_connection) < (coalesce(other.valid_from, ''), other.to_connection)
where coalesce(nullif(one.valid_to, ''), '9999-12-31') >= coalesce(nullif(other.valid_from, ''), '0001-01-01')
