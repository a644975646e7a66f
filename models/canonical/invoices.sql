select
    'magento'::text as system,
    magento_invoices.connection,
    magento_invoices.invoice_id,
    magento_invoices.invoice_number,
    'sale'::text as invoice_type,
    magento_invoices.order_id,
    null::text as contact_id,
    null::text as reference,
    magento_invoices.state as status,
    coalesce(magento_invoices.state = 'cancelled', false) or magento_invoices.deleted_at is not null as is_void,
    magento_invoices.deleted_at is not null as is_deleted,
    magento_invoices.invoiced_at,
    {{ business_date('magento_invoices.invoiced_at', 'store_configs.time_zone') }} as invoice_date,
    null::date as due_date,
    magento_invoices.currency_code,
    magento_invoices.base_currency_code,
    magento_invoices.base_to_order_rate as currency_rate,
    -- Magento's total is what is left after gift cards, store credit and points; they are payments of the full total.
    {% for base in ['', 'base_'] -%}
    {% set document = 'magento_invoices.' ~ base -%}
    {% set total = (
        'round(' ~ document ~ 'grand_total, 2) + ' ~ document ~ 'gift_card_amount + ' ~ document ~ 'store_credit_amount'
        ~ ' + coalesce(points.' ~ base ~ 'amount, 0)'
    ) -%}
    {{ total }} - round(magento_invoices.{{ base }}tax_amount, 2) as {{ base }}net_amount,
    round(magento_invoices.{{ base }}tax_amount, 2) as {{ base }}tax_amount,
    {{ total }} as {{ base }}total_amount,
    {% endfor -%}
    {% for base in ['', 'base_'] -%}
    round(magento_invoices.{{ base }}grand_total, 2) as {{ base }}cash_amount,
    magento_invoices.{{ base }}gift_card_amount,
    magento_invoices.{{ base }}store_credit_amount,
    coalesce(points.{{ base }}amount, 0) as {{ base }}reward_amount,
    {% endfor -%}
    magento_invoices.transaction_id,
    null::numeric as open_amount,
    magento_invoices._problems
from {{ ref('stg_magento__invoices') }} as magento_invoices
left join {{ ref('stg_magento__store_configs') }} as store_configs
    on
        magento_invoices.connection = store_configs.connection
        and magento_invoices.store_id = store_configs.store_id
left join
    {{ reward_share(
        ref('stg_magento__invoices'), 'invoice_id',
        [
            'subtotal', 'shipping_amount', 'tax_amount', 'discount_amount', 'discount_tax_compensation_amount',
            'shipping_discount_tax_compensation_amount', 'gift_wrap_amount',
        ],
        'magento_invoices'
    ) }}
    as points on true

union all

select
    'xero'::text as system,
    xero_invoices.connection,
    xero_invoices.invoice_id,
    xero_invoices.invoice_number,
    case xero_invoices.document_type when 'ACCREC' then 'sale' when 'ACCPAY' then 'purchase' end as invoice_type,
    null::text as order_id,
    xero_invoices.contact_id,
    xero_invoices.reference,
    xero_invoices.status,
    coalesce(xero_invoices.status in ('VOIDED', 'DELETED'), false) or xero_invoices.deleted_at is not null as is_void,
    xero_invoices.deleted_at is not null as is_deleted,
    null::timestamptz as invoiced_at,
    xero_invoices.document_date as invoice_date,
    xero_invoices.due_date,
    xero_invoices.currency_code,
    null::text as base_currency_code,
    xero_invoices.currency_rate,
    xero_invoices.net_amount,
    xero_invoices.tax_amount,
    xero_invoices.total_amount,
    round(xero_invoices.net_amount / nullif(coalesce(xero_invoices.currency_rate, 1), 0), 2) as base_net_amount,
    round(xero_invoices.tax_amount / nullif(coalesce(xero_invoices.currency_rate, 1), 0), 2) as base_tax_amount,
    round(xero_invoices.total_amount / nullif(coalesce(xero_invoices.currency_rate, 1), 0), 2) as base_total_amount,
    null::numeric as cash_amount,
    null::numeric as gift_card_amount,
    null::numeric as store_credit_amount,
    null::numeric as reward_amount,
    null::numeric as base_cash_amount,
    null::numeric as base_gift_card_amount,
    null::numeric as base_store_credit_amount,
    null::numeric as base_reward_amount,
    null::text as transaction_id,
    xero_invoices.due_amount as open_amount,
    xero_invoices._problems
from {{ ref('stg_xero__invoices') }} as xero_invoices
