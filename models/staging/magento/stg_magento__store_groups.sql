select
    source.connection,
    source.id as store_group_id,
    source.version,
    source.modified_at,
    source.deleted_at,
    record.code,
    record.name,
    record.website_id,
    null::jsonb as _problems
from {{ source('staging', 'magento__store_groups') }} as source
cross join lateral jsonb_to_record(source.payload) as record (
    code text,
    name text,
    website_id text
)
