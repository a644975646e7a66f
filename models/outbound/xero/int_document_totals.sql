select
    lines.connection,
    lines.order_id,
    lines.document,
    lines.is_draft,
    lines.document_id,
    sum(lines.net_amount) as net_amount,
    sum(lines.base_net_amount) as base_net_amount,
    sum(lines.tax_amount) as tax_amount,
    sum(lines.base_tax_amount) as base_tax_amount,
    count(*)::integer as line_count,
    jsonb_agg(to_jsonb(lines)) as lines
from {{ ref('int_document_lines_plain') }} as lines
group by lines.connection, lines.order_id, lines.document, lines.is_draft, lines.document_id
