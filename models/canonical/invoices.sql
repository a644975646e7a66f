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
    round(magento_invoices.grand_total, 2) - round(magento_invoices.tax_amount, 2) as net_amount,
    round(magento_invoices.tax_amount, 2) as tax_amount,
    round(magento_invoices.grand_total, 2) as total_amount,
    round(magento_invoices.base_grand_total, 2) - round(magento_invoices.base_tax_amount, 2) as base_net_amount,
    round(magento_invoices.base_tax_amount, 2) as base_tax_amount,
    round(magento_invoices.base_grand_total, 2) as base_total_amount,
    null::numeric as open_amount,
    magento_invoices._problems
from {{ ref('stg_magento__invoices') }} as magento_invoices
left join {{ ref('stg_magento__store_configs') }} as store_configs
    on
        magento_invoices.connection = store_configs.connection
        and magento_invoices.store_id = store_configs.store_id

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
    xero_invoices.due_amount as open_amount,
    xero_invoices._problems
from {{ ref('stg_xero__invoices') }} as xero_invoices
