select
    source.connection,
    source.id as tracking_category_id,
    source.version,
    source.modified_at,
    source.deleted_at,
    record."Name" as name,
    record."Status" as status,
    record."Options" as options,
    null::jsonb as _problems
from {{ source('staging', 'xero__tracking_categories') }} as source
cross join lateral jsonb_to_record(source.payload) as record (
    "Name" text,
    "Status" text,
    "Options" jsonb
)
