-- Which fields of customers and items the ledger owns; all others are the shop's.
select
    field_owners.connection,
    field_owners.to_connection,
    lower(field_owners.entity) as entity,
    array_agg(lower(field_owners.field)) filter (where field_owners.owner = field_owners.to_connection) as ledger_fields
from {{ ref('field_owners') }} as field_owners
group by field_owners.connection, field_owners.to_connection, lower(field_owners.entity)
