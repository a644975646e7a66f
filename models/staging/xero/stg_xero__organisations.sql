select
    source.connection,
    source.id as organisation_id,
    source.version,
    source.modified_at,
    source.deleted_at,
    record."Name" as name,
    record."ShortCode" as short_code,
    record."BaseCurrency" as base_currency_code,
    record."CountryCode" as country_code,
    record."Timezone" as time_zone,
    {{ whole_number('record."FinancialYearEndDay"') }} as financial_year_end_day,
    {{ whole_number('record."FinancialYearEndMonth"') }} as financial_year_end_month,
    {{ xero_date('record."PeriodLockDate"') }} as period_lock_date,
    {{ xero_date('record."EndOfYearLockDate"') }} as end_of_year_lock_date,
    {{ yes_or_no('record."IsDemoCompany"') }} as is_demo,
    {{ problems([
        bad_whole_numbers('record', ['"FinancialYearEndDay"', '"FinancialYearEndMonth"']),
    ]) }} as _problems
from {{ source('staging', 'xero__organisations') }} as source
cross join lateral jsonb_to_record(source.payload) as record (
    "Name" text,
    "ShortCode" text,
    "BaseCurrency" text,
    "CountryCode" text,
    "Timezone" text,
    "FinancialYearEndDay" text,
    "FinancialYearEndMonth" text,
    "PeriodLockDate" text,
    "EndOfYearLockDate" text,
    "IsDemoCompany" text
)
