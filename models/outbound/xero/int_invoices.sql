{% call documented(is_whole=false) -%}
select
    'invoice'::text as document,
    false as is_draft,
    slots.*
from {{ of_order(ref('int_invoice_slots'), 'driver', 'slots') }}
{%- endcall %}
