select
    source.connection,
    source.id as website_id,
    source.code,
    source.version,
    source.modified_at,
    source.deleted_at,
    record.name,
    null::jsonb as _problems
from {{ source('staging', 'magento__websites') }} as source
cross join lateral jsonb_to_record(source.payload) as record (
    name text
)
