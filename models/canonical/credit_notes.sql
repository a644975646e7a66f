select
    'magento'::text as system,
    credit_memos.connection,
    credit_memos.credit_memo_id as credit_note_id,
    credit_memos.credit_memo_number as credit_note_number,
    'sale'::text as credit_note_type,
    credit_memos.order_id,
    credit_memos.invoice_id,
    null::text as contact_id,
    null::text as reference,
    credit_memos.state as status,
    coalesce(credit_memos.state = 'cancelled', false) or credit_memos.deleted_at is not null as is_void,
    credit_memos.deleted_at is not null as is_deleted,
    -- Made from an invoice or with a transaction: the gateway itself gave the money back.
    nullif(credit_memos.invoice_id, '') is not null or nullif(credit_memos.transaction_id, '') is not null
        as is_refunded_online,
    credit_memos.credited_at,
    {{ business_date('credit_memos.credited_at', 'store_configs.time_zone') }} as credit_note_date,
    credit_memos.currency_code,
    credit_memos.base_currency_code,
    credit_memos.base_to_order_rate as currency_rate,
    round(credit_memos.grand_total, 2) - round(credit_memos.tax_amount, 2) as net_amount,
    round(credit_memos.tax_amount, 2) as tax_amount,
    round(credit_memos.grand_total, 2) as total_amount,
    round(credit_memos.base_grand_total, 2) - round(credit_memos.base_tax_amount, 2) as base_net_amount,
    round(credit_memos.base_tax_amount, 2) as base_tax_amount,
    round(credit_memos.base_grand_total, 2) as base_total_amount,
    null::numeric as open_amount,
    credit_memos._problems
from {{ ref('stg_magento__credit_memos') }} as credit_memos
left join {{ ref('stg_magento__store_configs') }} as store_configs
    on
        credit_memos.connection = store_configs.connection
        and credit_memos.store_id = store_configs.store_id

union all

select
    'xero'::text as system,
    xero_credit_notes.connection,
    xero_credit_notes.credit_note_id,
    xero_credit_notes.credit_note_number,
    case xero_credit_notes.document_type when 'ACCRECCREDIT' then 'sale' when 'ACCPAYCREDIT' then 'purchase' end
        as credit_note_type,
    null::text as order_id,
    null::text as invoice_id,
    xero_credit_notes.contact_id,
    xero_credit_notes.reference,
    xero_credit_notes.status,
    coalesce(xero_credit_notes.status in ('VOIDED', 'DELETED'), false) or xero_credit_notes.deleted_at is not null
        as is_void,
    xero_credit_notes.deleted_at is not null as is_deleted,
    null::boolean as is_refunded_online,
    null::timestamptz as credited_at,
    xero_credit_notes.document_date as credit_note_date,
    xero_credit_notes.currency_code,
    null::text as base_currency_code,
    xero_credit_notes.currency_rate,
    xero_credit_notes.net_amount,
    xero_credit_notes.tax_amount,
    xero_credit_notes.total_amount,
    round(xero_credit_notes.net_amount / nullif(coalesce(xero_credit_notes.currency_rate, 1), 0), 2)
        as base_net_amount,
    round(xero_credit_notes.tax_amount / nullif(coalesce(xero_credit_notes.currency_rate, 1), 0), 2)
        as base_tax_amount,
    round(xero_credit_notes.total_amount / nullif(coalesce(xero_credit_notes.currency_rate, 1), 0), 2)
        as base_total_amount,
    xero_credit_notes.remaining_amount as open_amount,
    xero_credit_notes._problems
from {{ ref('stg_xero__credit_notes') }} as xero_credit_notes
