select
    source.connection,
    source.order_id,
    source.id as shipment_id,
    source.deleted_at,
    line.line_number::integer as line_number,
    record.order_item_id as order_line_id,
    record.sku,
    {{ number_or_zero('record.qty') }} as quantity,
    {{ problems([
        bad_numbers('record', ['qty']),
        bad_whole_numbers('record', ['order_item_id']),
    ]) }} as _problems
from {{ source('staging', 'magento__shipments') }} as source
cross join lateral jsonb_to_record(source.payload) as header (items jsonb)
cross join lateral jsonb_array_elements({{ list_of('header.items') }}) with ordinality as line (item, line_number)
cross join lateral jsonb_to_record({{ object_of('line.item') }}) as record (
    order_item_id text,
    sku text,
    qty text
)
