select
    source.connection,
    source.id as currency_code,
    source.version,
    source.modified_at,
    source.deleted_at,
    record."Description" as description,
    null::jsonb as _problems
from {{ source('staging', 'xero__currencies') }} as source
cross join lateral jsonb_to_record(source.payload) as record (
    "Description" text
)
