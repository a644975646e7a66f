select
    source.connection,
    source.id as category_id,
    source.version,
    source.modified_at,
    source.deleted_at,
    record.parent_id as parent_category_id,
    record.name,
    record.path,
    {{ whole_number('record.level') }} as level,
    {{ yes_or_no('record.is_active') }} as is_active,
    {{ problems([
        bad_whole_numbers('record', ['level']),
    ]) }} as _problems
from {{ source('staging', 'magento__categories') }} as source
cross join lateral jsonb_to_record(source.payload) as record (
    parent_id text,
    name text,
    path text,
    level text,
    is_active text
)
