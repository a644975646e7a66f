-- Owners that are neither the shop nor the ledger of their row nor `both`, fields of another kind of record, fields that are
-- named twice in other letters: two owners would write over each other for ever. `both` is not for what is computed from
-- something else (descriptions, quantities, prices with tax): that would be computed from itself.
with judged as (
    select
        field_owners.connection,
        field_owners.to_connection,
        field_owners.entity,
        field_owners.field,
        field_owners.owner,
        count(*) over (
            partition by
                field_owners.connection, field_owners.to_connection, lower(field_owners.entity), lower(field_owners.field)
        ) as owners
    from {{ ref('field_owners') }} as field_owners
)

select judged.*
from judged
left join lateral (
    select true as is_gross
    from {{ ref('back_routes') }} as routes
    where
        judged.field = 'price'
        and routes.connection = judged.to_connection
        and routes.to_connection = judged.connection
        and routes.entity = 'base_prices'
        and lower(routes.price_tax) is distinct from 'net'
    limit 1
) as gross on true
where
    judged.owners > 1
    or (
        judged.owner not in (judged.connection, judged.to_connection)
        and (lower(judged.owner) <> 'both' or judged.field in ('description', 'stock') or gross.is_gross)
    )
    or judged.connection = judged.to_connection
    or not (
        (judged.entity = 'customers' and judged.field in ('name', 'email', 'vat_number', 'phone', 'address'))
        or (judged.entity = 'items' and judged.field in ('name', 'description', 'price', 'stock'))
    )
