-- Invoices whose lines, by Xero's arithmetic (unit price at 4 decimals, less discount, rounded half up, plus tax),
-- do not come to the total that Xero must answer.
{{ config(severity='warn') }}
with lines as (
    select
        invoice_lines._source_connection,
        invoice_lines._source_id,
        invoice_lines._key,
        sum(
            round(
                round(invoice_lines."UnitAmount", 4) * invoice_lines."Quantity"
                - coalesce(invoice_lines."DiscountAmount", 0),
                2
            )
            + invoice_lines."TaxAmount"
        ) as amount
    from {{ ref('out_xero__invoice_lines') }} as invoice_lines
    group by invoice_lines._source_connection, invoice_lines._source_id, invoice_lines._key
)

select
    invoices._key,
    invoices._total,
    lines.amount
from {{ ref('out_xero__invoices') }} as invoices
inner join lines
    on
        invoices._source_connection = lines._source_connection
        and invoices._source_id = lines._source_id
        and invoices._key = lines._key
where
    invoices._problems is null
    and invoices._gone is null
    and invoices._total <> lines.amount
