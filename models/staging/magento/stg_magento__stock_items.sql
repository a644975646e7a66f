select
    source.connection,
    source.id as stock_item_id,
    source.sku,
    source.version,
    source.modified_at,
    source.deleted_at,
    record.source_code,
    {{ number('record.quantity') }} as quantity,
    {{ yes_or_no('record.status') }} as is_in_stock,
    {{ problems([
        bad_numbers('record', [
            'quantity',
        ]),
    ]) }} as _problems
from {{ source('staging', 'magento__stock_items') }} as source
cross join lateral jsonb_to_record(source.payload) as record (
    source_code text,
    quantity text,
    status text
)
