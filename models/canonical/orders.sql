select
    'magento'::text as system,
    orders.connection,
    orders.order_id,
    orders.order_number,
    orders.store_id,
    store_views.code as store_code,
    store_configs.time_zone,
    orders.state,
    orders.status,
    coalesce(orders.state = 'canceled', false) as is_cancelled,
    coalesce(orders.is_virtual, false) as is_virtual,
    orders.deleted_at is not null as is_deleted,
    orders.customer_id,
    orders.customer_email,
    coalesce(nullif(orders.billing_first_name, ''), orders.customer_first_name) as first_name,
    coalesce(nullif(orders.billing_last_name, ''), orders.customer_last_name) as last_name,
    nullif(trim(orders.billing_company), '') as company_name,
    coalesce(nullif(trim(orders.billing_vat_number), ''), nullif(trim(orders.customer_vat_number), '')) as vat_number,
    orders.billing_street,
    orders.billing_city,
    orders.billing_region,
    orders.billing_postcode,
    orders.billing_country_code,
    orders.billing_telephone,
    upper(orders.ship_to_country_code) as ship_to_country_code,
    orders.payment_method,
    orders.currency_code,
    orders.base_currency_code,
    orders.base_to_order_rate,
    -- Gift cards, store credit and points lower Magento's total, but they are payments.
    {% for base in ['', 'base_'] -%}
    orders.{{ base }}grand_total
    + balances.{{ base }}gift_card_amount + balances.{{ base }}store_credit_amount + balances.{{ base }}reward_amount
        as {{ base }}total_amount,
    {% endfor -%}
    {% for base in ['', 'base_'] -%}
    orders.{{ base }}grand_total as {{ base }}cash_amount,
    balances.{{ base }}paid_amount,
    {% endfor -%}
    balances.transaction_id,
    round(
        orders.shipping_amount + orders.shipping_discount_tax_compensation_amount
        - (abs(orders.discount_amount) - orders.line_discount_amount),
        2
    ) as shipping_amount,
    round(
        orders.base_shipping_amount + orders.base_shipping_discount_tax_compensation_amount
        - (abs(orders.base_discount_amount) - orders.base_line_discount_amount),
        2
    ) as base_shipping_amount,
    round(orders.shipping_tax_amount, 2) as shipping_tax_amount,
    round(orders.base_shipping_tax_amount, 2) as base_shipping_tax_amount,
    orders.shipping_tax_code,
    orders.shipping_tax_percent,
    round(orders.gift_wrap_amount, 2) as gift_wrap_amount,
    round(orders.base_gift_wrap_amount, 2) as base_gift_wrap_amount,
    round(orders.gift_wrap_tax_amount, 2) as gift_wrap_tax_amount,
    round(orders.base_gift_wrap_tax_amount, 2) as base_gift_wrap_tax_amount,
    coalesce(orders.gift_wrap_tax_code, orders.shipping_tax_code) as gift_wrap_tax_code,
    case when orders.gift_wrap_tax_code is null then orders.shipping_tax_percent else orders.gift_wrap_tax_percent end
        as gift_wrap_tax_percent,
    orders.replaced_by_order_id,
    orders.replaced_by_order_number,
    orders.replaces_order_id,
    orders.replaces_order_number,
    orders.customer_group_id,
    orders.ordered_at,
    {{ business_date('orders.ordered_at', 'store_configs.time_zone') }} as order_date,
    {{ problems(['orders._problems', 'balances._problems']) }} as _problems
from {{ ref('stg_magento__orders') }} as orders
inner join {{ ref('stg_magento__order_balances') }} as balances
    on orders.connection = balances.connection and orders.order_id = balances.order_id
left join {{ ref('stg_magento__store_views') }} as store_views
    on orders.connection = store_views.connection and orders.store_id = store_views.store_id
left join {{ ref('stg_magento__store_configs') }} as store_configs
    on orders.connection = store_configs.connection and orders.store_id = store_configs.store_id
