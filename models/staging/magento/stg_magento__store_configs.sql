select
    source.connection,
    source.id as store_id,
    source.code,
    source.version,
    source.modified_at,
    source.deleted_at,
    record.timezone as time_zone,
    record.base_currency_code,
    record.default_display_currency_code as display_currency_code,
    record.locale,
    null::jsonb as _problems
from {{ source('staging', 'magento__store_configs') }} as source
cross join lateral jsonb_to_record(source.payload) as record (
    timezone text,
    base_currency_code text,
    default_display_currency_code text,
    locale text
)
