select
    source.connection,
    source.id as currency_rate_id,
    source.base_currency_code,
    source.currency_code,
    case when pg_input_is_valid(source.day, 'date') then source.day::date end as rate_date,
    {{ number('record.rate') }} as rate,
    source.version,
    source.modified_at,
    source.deleted_at,
    {{ problems([bad_numbers('record', ['rate'])]) }} as _problems
from {{ source('staging', 'magento__currency_rates') }} as source
cross join lateral jsonb_to_record(source.payload) as record (
    rate text
)
