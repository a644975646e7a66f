select
    source.connection,
    source.id as tax_rate_id,
    source.code,
    source.version,
    source.modified_at,
    source.deleted_at,
    record.tax_country_id as country_code,
    {{ number('record.rate') }} as percent,
    {{ problems([
        bad_numbers('record', [
            'rate',
        ]),
    ]) }} as _problems
from {{ source('staging', 'magento__tax_rates') }} as source
cross join lateral jsonb_to_record(source.payload) as record (
    tax_country_id text,
    rate text
)
