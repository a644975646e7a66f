{#-
The columns of a line of a document before tax type, account and item are chosen, as int_documents hands it on in `lines`. Xero
takes no discount on the line of a credit note (`has_discount`).
-#}
{% macro plain_line(lines, has_discount=true) -%}
    {{ lines }}.line_id,
    {{ lines }}.line_kind,
    {{ lines }}.line_number,
    {{ lines }}.product_id,
    {{ lines }}.sku,
    {{ lines }}.description,
    {{ lines }}.quantity,
    {{ lines }}.price,
    {{ lines }}.base_price,
    {% for amount in ['discount_amount', 'base_discount_amount'] -%}
    {% if has_discount -%} {{ lines }}.{{ amount }} {%- else -%} case when {{ lines }}.{{ amount }} = 0 then 0 end as {{ amount }} {%- endif %},
    {% endfor -%}
    {{ lines }}.net_amount,
    {{ lines }}.base_net_amount,
    {{ lines }}.tax_amount,
    {{ lines }}.base_tax_amount,
    {{ lines }}.tax_code,
    {{ lines }}.tax_percent,
    {{ lines }}._problems
{%- endmacro %}
