select
    source.connection,
    source.id as store_id,
    source.code,
    source.version,
    source.modified_at,
    source.deleted_at,
    record.name,
    record.website_id,
    {{ yes_or_no('record.is_active') }} as is_active,
    null::jsonb as _problems
from {{ source('staging', 'magento__store_views') }} as source
cross join lateral jsonb_to_record(source.payload) as record (
    name text,
    website_id text,
    is_active text
)
