-- Magento calls an invoice paid whatever the method: whether money moved, the lookup of methods says.
select
    'magento'::text as system,
    magento_invoices.connection,
    magento_invoices.invoice_id as payment_id,
    magento_invoices.order_id,
    magento_invoices.invoice_id,
    null::text as credit_note_id,
    'in'::text as direction,
    magento_orders.payment_method as method,
    magento_invoices.transaction_id as reference,
    null::text as account_code,
    magento_invoices.invoiced_at as paid_at,
    (magento_invoices.invoiced_at at time zone 'UTC')::date as payment_date,
    magento_invoices.currency_code,
    round(magento_invoices.grand_total, 2) as amount,
    round(magento_invoices.base_grand_total, 2) as base_amount,
    magento_invoices.deleted_at is not null as is_void,
    magento_invoices._problems
from {{ ref('stg_magento__invoices') }} as magento_invoices
left join {{ ref('stg_magento__orders') }} as magento_orders
    on
        magento_invoices.connection = magento_orders.connection
        and magento_invoices.order_id = magento_orders.order_id
where magento_invoices.state = 'paid'

union all

select
    'xero'::text as system,
    xero_payments.connection,
    xero_payments.payment_id,
    null::text as order_id,
    xero_payments.invoice_id,
    xero_payments.credit_note_id,
    case when xero_payments.payment_type in ('ACCRECPAYMENT', 'APCREDITPAYMENT') then 'in' else 'out' end as direction,
    null::text as method,
    xero_payments.reference,
    xero_payments.account_code,
    null::timestamptz as paid_at,
    xero_payments.payment_date,
    null::text as currency_code,
    xero_payments.amount,
    round(xero_payments.amount / nullif(coalesce(xero_payments.currency_rate, 1), 0), 2) as base_amount,
    coalesce(xero_payments.status = 'DELETED', false) or xero_payments.deleted_at is not null as is_void,
    xero_payments._problems
from {{ ref('stg_xero__payments') }} as xero_payments
