select
    source.connection,
    source.id as tax_class_id,
    source.version,
    source.modified_at,
    source.deleted_at,
    record.class_name as name,
    record.class_type,
    null::jsonb as _problems
from {{ source('staging', 'magento__tax_classes') }} as source
cross join lateral jsonb_to_record(source.payload) as record (
    class_name text,
    class_type text
)
