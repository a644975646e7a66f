select
    source.connection,
    source.id as order_id,
    source.increment_id as order_number,
    source.store_id,
    source.customer_id,
    source.customer_email,
    source.version,
    source.modified_at,
    source.deleted_at,
    record.state,
    record.status,
    {{ yes_or_no('record.is_virtual') }} as is_virtual,
    record.customer_firstname as customer_first_name,
    record.customer_lastname as customer_last_name,
    record.customer_taxvat as customer_vat_number,
    payment.method as payment_method,
    billing.firstname as billing_first_name,
    billing.lastname as billing_last_name,
    billing.company as billing_company,
    billing.vat_id as billing_vat_number,
    billing.street as billing_street,
    billing.city as billing_city,
    billing.region as billing_region,
    billing.postcode as billing_postcode,
    billing.country_id as billing_country_code,
    billing.telephone as billing_telephone,
    coalesce(nullif(shipping.country_id, ''), nullif(billing.country_id, '')) as ship_to_country_code,
    record.order_currency_code as currency_code,
    record.base_currency_code,
    {{ number('record.base_to_order_rate') }} as base_to_order_rate,
    {{ number_or_zero('record.subtotal') }} as subtotal,
    {{ number_or_zero('record.base_subtotal') }} as base_subtotal,
    {{ number_or_zero('record.discount_amount') }} as discount_amount,
    {{ number_or_zero('record.base_discount_amount') }} as base_discount_amount,
    {{ number_or_zero('record.discount_tax_compensation_amount') }} as discount_tax_compensation_amount,
    {{ number_or_zero('record.base_discount_tax_compensation_amount') }} as base_discount_tax_compensation_amount,
    {{ number_or_zero('record.shipping_amount') }} as shipping_amount,
    {{ number_or_zero('record.base_shipping_amount') }} as base_shipping_amount,
    {{ number_or_zero('record.shipping_tax_amount') }} as shipping_tax_amount,
    {{ number_or_zero('record.base_shipping_tax_amount') }} as base_shipping_tax_amount,
    {{ number_or_zero('record.shipping_discount_tax_compensation_amount') }}
        as shipping_discount_tax_compensation_amount,
    {{ number_or_zero('record.base_shipping_discount_tax_compensation_amnt') }}
        as base_shipping_discount_tax_compensation_amount,
    {{ number_or_zero('record.tax_amount') }} as tax_amount,
    {{ number_or_zero('record.base_tax_amount') }} as base_tax_amount,
    {{ number('record.grand_total') }} as grand_total,
    {{ number('record.base_grand_total') }} as base_grand_total,
    {{ gift_wrap_columns() }}    shipping_tax.tax_code as shipping_tax_code,
    shipping_tax.tax_percent as shipping_tax_percent,
    shipping_tax.gift_wrap_tax_code,
    shipping_tax.gift_wrap_tax_percent,
    nullif(record.relation_child_id, '') as replaced_by_order_id,
    nullif(record.relation_child_real_id, '') as replaced_by_order_number,
    nullif(record.relation_parent_id, '') as replaces_order_id,
    nullif(record.relation_parent_real_id, '') as replaces_order_number,
    record.customer_group_id,
    {{ utc('record.created_at') }} as ordered_at,
    {{ problems([
        bad_numbers('record', [
            'base_to_order_rate', 'subtotal', 'base_subtotal', 'discount_amount', 'base_discount_amount',
            'discount_tax_compensation_amount', 'base_discount_tax_compensation_amount', 'shipping_amount',
            'base_shipping_amount', 'shipping_tax_amount', 'base_shipping_tax_amount',
            'shipping_discount_tax_compensation_amount', 'base_shipping_discount_tax_compensation_amnt',
            'tax_amount', 'base_tax_amount', 'grand_total', 'base_grand_total',
        ]),
        bad_numbers('wrapping', gift_wrap_fields()),
        bad_time('created_at', 'record.created_at', utc('record.created_at')),
        bad_list('items', 'record.items'),
    ]) }} as _problems
from {{ source('staging', 'magento__orders') }} as source
cross join lateral jsonb_to_record(source.payload) as record (
    state text,
    status text,
    is_virtual text,
    customer_firstname text,
    customer_lastname text,
    customer_taxvat text,
    order_currency_code text,
    base_currency_code text,
    base_to_order_rate text,
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
    shipping_discount_tax_compensation_amount text,
    base_shipping_discount_tax_compensation_amnt text,
    tax_amount text,
    base_tax_amount text,
    grand_total text,
    base_grand_total text,
    relation_child_id text,
    relation_child_real_id text,
    relation_parent_id text,
    relation_parent_real_id text,
    customer_group_id text,
    created_at text,
    payment jsonb,
    billing_address jsonb,
    extension_attributes jsonb,
    items jsonb
)
cross join {{ gift_wrap_record('source.payload') }}
cross join lateral jsonb_to_record({{ object_of('record.payment') }}) as payment (method text)
cross join lateral jsonb_to_record({{ object_of('record.billing_address') }}) as billing (
    firstname text,
    lastname text,
    company text,
    vat_id text,
    street jsonb,
    city text,
    region text,
    postcode text,
    country_id text,
    telephone text
)
cross join lateral jsonb_to_record(
    {{ object_of("(record.extension_attributes #> '{shipping_assignments,0,shipping,address}')") }}
) as shipping (country_id text)
cross join lateral (
    select
        string_agg(applied.code, '+' order by applied.code) filter (where applied.is_shipping) as tax_code,
        sum(applied.percent) filter (where applied.is_shipping) as tax_percent,
        string_agg(applied.code, '+' order by applied.code) filter (where not applied.is_shipping) as gift_wrap_tax_code,
        sum(applied.percent) filter (where not applied.is_shipping) as gift_wrap_tax_percent
    from (
        -- The order, its items and the card may each be wrapped: their rate counts once.
        select distinct
            entry.tax_of ->> 'type' = 'shipping' as is_shipping,
            tax.applied ->> 'code' as code,
            {{ number("(tax.applied ->> 'percent')") }} as percent
        from
            jsonb_array_elements(
                {{ list_of("(record.extension_attributes -> 'item_applied_taxes')") }}
            ) as entry (tax_of)
        cross join lateral jsonb_array_elements({{ list_of("(entry.tax_of -> 'applied_taxes')") }}) as tax (applied)
        where entry.tax_of ->> 'type' in ('shipping', 'quote_gw', 'items_gw', 'item_gw', 'printed_card_gw')
    ) as applied
) as shipping_tax
