select
    source.connection,
    source.id as tax_rate_id,
    source.tax_type,
    source.version,
    source.modified_at,
    source.deleted_at,
    record."Name" as name,
    record."Status" as status,
    {{ number('record."EffectiveRate"') }} as effective_rate,
    {{ yes_or_no('record."CanApplyToRevenue"') }} as is_for_revenue,
    {{ yes_or_no('record."CanApplyToAssets"') }} as is_for_assets,
    {{ yes_or_no('record."CanApplyToLiabilities"') }} as is_for_liabilities,
    {{ yes_or_no('record."CanApplyToExpenses"') }} as is_for_expenses,
    {{ yes_or_no('record."CanApplyToEquity"') }} as is_for_equity,
    {{ problems([
        bad_numbers('record', [
            '"EffectiveRate"',
        ]),
    ]) }} as _problems
from {{ source('staging', 'xero__tax_rates') }} as source
cross join lateral jsonb_to_record(source.payload) as record (
    "Name" text,
    "Status" text,
    "EffectiveRate" text,
    "CanApplyToRevenue" text,
    "CanApplyToAssets" text,
    "CanApplyToLiabilities" text,
    "CanApplyToExpenses" text,
    "CanApplyToEquity" text
)
