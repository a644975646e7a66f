select
    source.connection,
    source.id as manual_journal_id,
    source.version,
    source.modified_at,
    source.deleted_at,
    record."Narration" as narration,
    record."Status" as status,
    {{ xero_date('record."Date"') }} as journal_date,
    record."LineAmountTypes" as line_amount_types,
    record."JournalLines" as lines,
    {{ xero_time('record."UpdatedDateUTC"') }} as updated_at,
    null::jsonb as _problems
from {{ source('staging', 'xero__manual_journals') }} as source
cross join lateral jsonb_to_record(source.payload) as record (
    "Narration" text,
    "Status" text,
    "Date" text,
    "LineAmountTypes" text,
    "JournalLines" jsonb,
    "UpdatedDateUTC" text
)
