-- Credit notes whose lines, by Xero's arithmetic (unit price at 4 decimals, rounded half up, plus tax),
-- do not come to the total that Xero must answer.
{{ config(severity='warn') }}
with lines as (
    select
        credit_note_lines._source_connection,
        credit_note_lines._source_id,
        credit_note_lines._key,
        sum(
            round(round(credit_note_lines."UnitAmount", 4) * credit_note_lines."Quantity", 2)
            + credit_note_lines."TaxAmount"
        ) as amount
    from {{ ref('out_xero__credit_note_lines') }} as credit_note_lines
    group by credit_note_lines._source_connection, credit_note_lines._source_id, credit_note_lines._key
)

select
    credit_notes._key,
    credit_notes._total,
    lines.amount
from {{ ref('out_xero__credit_notes') }} as credit_notes
inner join lines
    on
        credit_notes._source_connection = lines._source_connection
        and credit_notes._source_id = lines._source_id
        and credit_notes._key = lines._key
where
    credit_notes._problems is null
    and credit_notes._gone is null
    and credit_notes._total <> lines.amount
