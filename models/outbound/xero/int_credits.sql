{% call documented(is_whole=false) -%}
select
    'credit'::text as document,
    false as is_draft,
    slots.*
from {{ of_order(ref('int_credit_slots'), 'driver', 'slots') }}
{%- endcall %}
