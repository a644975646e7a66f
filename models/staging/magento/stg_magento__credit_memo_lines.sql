select
    source.connection,
    source.order_id,
    source.id as credit_memo_id,
    coalesce(record.order_item_id, '#' || line.line_number) as order_line_id,
    line.line_number::integer as line_number,
    record.product_id,
    record.sku,
    record.name,
    {{ number_or_zero('record.qty') }} as quantity,
    {{ number_or_zero('record.price') }} as price,
    {{ number_or_zero('record.base_price') }} as base_price,
    {{ number_or_zero('record.discount_amount') }} as discount_amount,
    {{ number_or_zero('record.base_discount_amount') }} as base_discount_amount,
    {{ number_or_zero('record.discount_tax_compensation_amount') }} as discount_tax_compensation_amount,
    {{ number_or_zero('record.base_discount_tax_compensation_amount') }} as base_discount_tax_compensation_amount,
    {{ number_or_zero('record.row_total') }} as row_total,
    {{ number_or_zero('record.base_row_total') }} as base_row_total,
    {{ number_or_zero('record.tax_amount') }} as tax_amount,
    {{ number_or_zero('record.base_tax_amount') }} as base_tax_amount,
    -- Null: the document does not say, its order does.
    {{ number('record.weee_tax_applied_row_amount') }} as weee_amount,
    {{ number('record.base_weee_tax_applied_row_amnt') }} as base_weee_amount,
    {{ problems([
        bad_numbers('record', [
            'qty', 'price', 'base_price', 'discount_amount', 'base_discount_amount',
            'discount_tax_compensation_amount', 'base_discount_tax_compensation_amount', 'row_total',
            'base_row_total', 'tax_amount', 'base_tax_amount', 'weee_tax_applied_row_amount',
            'base_weee_tax_applied_row_amnt',
        ]),
        bad_whole_numbers('record', ['order_item_id', 'product_id']),
    ]) }} as _problems
from {{ source('staging', 'magento__credit_memos') }} as source
cross join lateral jsonb_to_record(source.payload) as header (items jsonb)
cross join lateral jsonb_array_elements({{ list_of('header.items') }}) with ordinality as line (item, line_number)
cross join lateral jsonb_to_record({{ object_of('line.item') }}) as record (
    order_item_id text,
    product_id text,
    sku text,
    name text,
    qty text,
    price text,
    base_price text,
    discount_amount text,
    base_discount_amount text,
    discount_tax_compensation_amount text,
    base_discount_tax_compensation_amount text,
    row_total text,
    base_row_total text,
    tax_amount text,
    base_tax_amount text,
    weee_tax_applied_row_amount text,
    base_weee_tax_applied_row_amnt text
)
