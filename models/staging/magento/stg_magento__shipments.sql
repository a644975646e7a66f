select
    source.connection,
    source.id as shipment_id,
    source.order_id,
    source.increment_id as shipment_number,
    source.version,
    source.modified_at,
    source.deleted_at,
    {{ number('record.total_qty') }} as total_quantity,
    {{ utc('record.created_at') }} as shipped_at,
    {{ problems([
        bad_numbers('record', [
            'total_qty',
        ]),
        bad_list('items', 'record.items'),
    ]) }} as _problems
from {{ source('staging', 'magento__shipments') }} as source
cross join lateral jsonb_to_record(source.payload) as record (
    total_qty text,
    created_at text,
    items jsonb
)
