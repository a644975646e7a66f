-- An order needs its contact when a document of it is to be posted: an invoice or credit memo from the cut-over on, or a draft.
select
    orders.connection,
    orders.order_id,
    orders.to_connection,
    orders.customer_id,
    orders.customer_email,
    orders.contact_key,
    orders.company_key,
    orders.store_code,
    orders.channel,
    orders.numbers_names,
    orders.first_name,
    orders.last_name,
    orders.company_name,
    orders.vat_number,
    orders.billing_street,
    orders.billing_city,
    orders.billing_region,
    orders.billing_postcode,
    orders.billing_country_code,
    orders.billing_telephone
from {{ ref('int_orders_routed') }} as orders
where
    orders.has_route
    and orders.billing = 'shop'
    and (
        (orders.has_drafts and not orders.is_cancelled and to_char(orders.order_date, 'YYYY-MM-DD') >= orders.cut_over)
        -- A deposit is received from somebody.
        or (
            orders.deposits = 'prepayment'
            and orders.paid_amount > 0
            and to_char(orders.order_date, 'YYYY-MM-DD') >= orders.cut_over
        )
        or exists (
            select 1
            from {{ ref('invoices') }} as invoices
            where
                invoices.system = 'magento'
                and invoices.connection = orders.connection
                and invoices.order_id = orders.order_id
                and to_char(invoices.invoice_date, 'YYYY-MM-DD') >= orders.cut_over
        )
        or exists (
            select 1
            from {{ ref('credit_notes') }} as credit_notes
            where
                credit_notes.system = 'magento'
                and credit_notes.connection = orders.connection
                and credit_notes.order_id = orders.order_id
                and to_char(credit_notes.credit_note_date, 'YYYY-MM-DD') >= orders.cut_over
        )
    )
