-- The rate that counts from a day on, until the next. A row that is unreadable counts for nothing and tells why.
select
    'lookup'::text as system,
    null::text as connection,
    upper(trim(daily_rates.base_currency)) as base_currency_code,
    upper(trim(daily_rates.currency)) as currency_code,
    case when pg_input_is_valid(daily_rates.day, 'date') then daily_rates.day::date end as rate_date,
    {{ number('daily_rates.rate') }} as rate,
    daily_rates.source as rate_source,
    {{ problems([bad_numbers('daily_rates', ['rate'])]) }} as _problems
from {{ ref('daily_rates') }} as daily_rates

union all

select
    'magento'::text as system,
    currency_rates.connection,
    currency_rates.base_currency_code,
    currency_rates.currency_code,
    currency_rates.rate_date,
    currency_rates.rate,
    'shop'::text as rate_source,
    currency_rates._problems
from {{ ref('stg_magento__currency_rates') }} as currency_rates
