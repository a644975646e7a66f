-- Owners that are neither the shop nor the ledger of their row, fields of another kind of record, fields that are named
-- twice in other letters: two owners would write over each other for ever.
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
where
    judged.owners > 1
    or judged.owner not in (judged.connection, judged.to_connection)
    or judged.connection = judged.to_connection
    or not (
        (judged.entity = 'customers' and judged.field in ('name', 'email', 'vat_number', 'phone', 'address'))
        or (judged.entity = 'items' and judged.field in ('name', 'description', 'price', 'stock'))
    )
