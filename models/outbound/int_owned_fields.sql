-- Which fields of customers and items the ledger owns, and which both send; all others are the shop's.
select
    field_owners.connection,
    field_owners.to_connection,
    lower(field_owners.entity) as entity,
    array_agg(lower(field_owners.field)) filter (where field_owners.owner = field_owners.to_connection) as ledger_fields,
    array_agg(lower(field_owners.field)) filter (where lower(field_owners.owner) = 'both') as shared_fields
from {{ ref('field_owners') }} as field_owners
group by field_owners.connection, field_owners.to_connection, lower(field_owners.entity)
