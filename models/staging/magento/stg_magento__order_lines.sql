select
    source.connection,
    source.id as order_id,
    coalesce(record.item_id, '#' || line.line_number) as order_line_id,
    record.parent_item_id as parent_order_line_id,
    line.line_number::integer as line_number,
    record.product_id,
    record.product_type,
    record.sku,
    record.name,
    {{ yes_or_no('record.is_virtual') }} as is_virtual,
    {{ number_or_zero('record.qty_ordered') }} as ordered_quantity,
    {{ number_or_zero('record.qty_invoiced') }} as invoiced_quantity,
    {{ number_or_zero('record.qty_shipped') }} as shipped_quantity,
    {{ number_or_zero('record.qty_refunded') }} as refunded_quantity,
    {{ number_or_zero('record.qty_canceled') }} as cancelled_quantity,
    {{ number_or_zero('record.price') }} as price,
    {{ number_or_zero('record.base_price') }} as base_price,
    {{ number_or_zero('record.discount_amount') }} as discount_amount,
    {{ number_or_zero('record.base_discount_amount') }} as base_discount_amount,
    {{ number_or_zero('record.discount_tax_compensation_amount') }} as discount_tax_compensation_amount,
    {{ number_or_zero('record.base_discount_tax_compensation_amount') }} as base_discount_tax_compensation_amount,
    {{ number_or_zero('record.row_total_incl_tax') }} as gross_amount,
    {{ number_or_zero('record.base_row_total_incl_tax') }} as base_gross_amount,
    {{ number_or_zero('record.tax_amount') }} as tax_amount,
    {{ number_or_zero('record.base_tax_amount') }} as base_tax_amount,
    taxes.tax_code,
    taxes.tax_percent,
    {{ number_or_zero('record.weee_tax_applied_amount') }} as weee_unit_amount,
    {{ number_or_zero('record.base_weee_tax_applied_amount') }} as base_weee_unit_amount,
    {{ number_or_zero('record.weee_tax_applied_row_amount') }} as weee_amount,
    {{ number_or_zero('record.base_weee_tax_applied_row_amnt') }} as base_weee_amount,
    coalesce(weee.unit_tax_amount, 0) as weee_unit_tax_amount,
    coalesce(weee.base_unit_tax_amount, 0) as base_weee_unit_tax_amount,
    taxes.weee_tax_code,
    taxes.weee_tax_percent,
    {{ problems([
        bad_numbers('record', [
            'qty_ordered', 'qty_invoiced', 'qty_shipped', 'qty_refunded', 'qty_canceled', 'price', 'base_price',
            'discount_amount', 'base_discount_amount', 'discount_tax_compensation_amount',
            'base_discount_tax_compensation_amount', 'row_total_incl_tax', 'base_row_total_incl_tax', 'tax_amount',
            'base_tax_amount', 'weee_tax_applied_amount', 'base_weee_tax_applied_amount', 'weee_tax_applied_row_amount',
            'base_weee_tax_applied_row_amnt',
        ]),
        bad_whole_numbers('record', ['item_id', 'parent_item_id', 'product_id']),
    ]) }} as _problems
from {{ source('staging', 'magento__orders') }} as source
cross join lateral jsonb_to_record(source.payload) as header (items jsonb, extension_attributes jsonb)
cross join lateral jsonb_array_elements({{ list_of('header.items') }}) with ordinality as line (item, line_number)
cross join lateral jsonb_to_record({{ object_of('line.item') }}) as record (
    item_id text,
    parent_item_id text,
    product_id text,
    product_type text,
    sku text,
    name text,
    is_virtual text,
    qty_ordered text,
    qty_invoiced text,
    qty_shipped text,
    qty_refunded text,
    qty_canceled text,
    price text,
    base_price text,
    discount_amount text,
    base_discount_amount text,
    discount_tax_compensation_amount text,
    base_discount_tax_compensation_amount text,
    row_total_incl_tax text,
    base_row_total_incl_tax text,
    tax_amount text,
    base_tax_amount text,
    weee_tax_applied text,
    weee_tax_applied_amount text,
    base_weee_tax_applied_amount text,
    weee_tax_applied_row_amount text,
    base_weee_tax_applied_row_amnt text
)
-- Sums that nobody asks for are left out of a plan when they are joined so.
left join lateral {{ weee_taxes('record.weee_tax_applied') }} as weee on true
left join lateral (
    select
        string_agg(applied.tax ->> 'code', '+' order by applied.tax ->> 'code')
            filter (where entry.tax_of ->> 'type' = 'product') as tax_code,
        sum({{ number("(applied.tax ->> 'percent')") }})
            filter (where entry.tax_of ->> 'type' = 'product') as tax_percent,
        string_agg(applied.tax ->> 'code', '+' order by applied.tax ->> 'code')
            filter (where entry.tax_of ->> 'type' = 'weee') as weee_tax_code,
        sum({{ number("(applied.tax ->> 'percent')") }})
            filter (where entry.tax_of ->> 'type' = 'weee') as weee_tax_percent
    from
        jsonb_array_elements(
            {{ list_of("(header.extension_attributes -> 'item_applied_taxes')") }}
        ) as entry (tax_of)
    cross join lateral jsonb_array_elements({{ list_of("(entry.tax_of -> 'applied_taxes')") }}) as applied (tax)
    where
        (entry.tax_of ->> 'type' = 'product' and entry.tax_of ->> 'item_id' = record.item_id)
        or (entry.tax_of ->> 'type' = 'weee' and entry.tax_of ->> 'associated_item_id' = record.item_id)
) as taxes on true
