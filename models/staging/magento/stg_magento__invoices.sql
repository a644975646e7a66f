with source as (
    select * from {{ source('staging', 'magento__invoices') }}
)

select
    source.connection,
    source.id as invoice_id,
    source.order_id,
    source.increment_id as invoice_number,
    source.version,
    source.modified_at,
    source.deleted_at,
    case {{ whole_number('record.state') }} when 1 then 'open' when 2 then 'paid' when 3 then 'cancelled' end as state,
    record.transaction_id,
    record.store_id,
    record.order_currency_code as currency_code,
    record.base_currency_code,
    {{ number('record.base_to_order_rate') }} as base_to_order_rate,
    {{ number_or_zero('record.subtotal') }} as subtotal,
    {{ number_or_zero('record.base_subtotal') }} as base_subtotal,
    {{ number_or_zero('record.discount_amount') }} as discount_amount,
    {{ number_or_zero('record.base_discount_amount') }} as base_discount_amount,
    {{ number_or_zero('record.discount_tax_compensation_amount') }} as discount_tax_compensation_amount,
    {{ number_or_zero('record.base_discount_tax_compensation_amount') }}
        as base_discount_tax_compensation_amount,
    {{ number_or_zero('record.shipping_amount') }} as shipping_amount,
    {{ number_or_zero('record.base_shipping_amount') }} as base_shipping_amount,
    {{ number_or_zero('record.shipping_tax_amount') }} as shipping_tax_amount,
    {{ number_or_zero('record.base_shipping_tax_amount') }} as base_shipping_tax_amount,
    {{ number_or_zero('record.tax_amount') }} as tax_amount,
    {{ number_or_zero('record.base_tax_amount') }} as base_tax_amount,
    {{ number_or_zero('record.shipping_discount_tax_compensation_amount') }}
        as shipping_discount_tax_compensation_amount,
    {{ number_or_zero('record.base_shipping_discount_tax_compensation_amnt') }}
        as base_shipping_discount_tax_compensation_amount,
    {{ number('record.grand_total') }} as grand_total,
    {{ number('record.base_grand_total') }} as base_grand_total,
    {{ utc('record.created_at') }} as invoiced_at,
    {{ problems([
        bad_numbers('record', [
            'subtotal', 'base_subtotal', 'discount_amount', 'base_discount_amount',
            'discount_tax_compensation_amount', 'base_discount_tax_compensation_amount', 'shipping_amount',
            'base_shipping_amount', 'shipping_tax_amount', 'base_shipping_tax_amount', 'tax_amount',
            'base_tax_amount', 'shipping_discount_tax_compensation_amount',
            'base_shipping_discount_tax_compensation_amnt', 'grand_total', 'base_grand_total',
            'base_to_order_rate',
        ]),
        bad_whole_numbers('record', ['state']),
        bad_time('created_at', 'record.created_at', utc('record.created_at')),
        bad_list('items', 'record.items'),
    ]) }} as _problems
from source
cross join lateral jsonb_to_record(source.payload) as record (
    transaction_id text,
    state text,
    store_id text,
    order_currency_code text,
    base_currency_code text,
    subtotal text,
    base_subtotal text,
    discount_amount text,
    base_discount_amount text,
    discount_tax_compensation_amount text,
    base_discount_tax_compensation_amount text,
    shipping_amount text,
    base_shipping_amount text,
    shipping_tax_amount text,
    base_shipping_tax_amount text,
    tax_amount text,
    base_tax_amount text,
    shipping_discount_tax_compensation_amount text,
    base_shipping_discount_tax_compensation_amnt text,
    grand_total text,
    base_grand_total text,
    base_to_order_rate text,
    created_at text,
    items jsonb
)
