with lines as (
    select * from {{ ref('int_document_lines') }}
)

select
    lines.connection,
    lines.order_id,
    lines.document,
    lines.position,
    sum(lines.net_amount) as net_amount,
    sum(lines.tax_amount) as tax_amount,
    count(*)::integer as line_count
from lines
group by lines.connection, lines.order_id, lines.document, lines.position
