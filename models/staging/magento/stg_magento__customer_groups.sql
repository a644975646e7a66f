select
    source.connection,
    source.id as customer_group_id,
    source.version,
    source.modified_at,
    source.deleted_at,
    record.code,
    record.tax_class_id,
    null::jsonb as _problems
from {{ source('staging', 'magento__customer_groups') }} as source
cross join lateral jsonb_to_record(source.payload) as record (
    code text,
    tax_class_id text
)
