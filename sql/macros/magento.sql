{#-
The tax on one unit's fixed product taxes (WEEE). Magento keeps them as JSON inside a text, a list of
{title, amount, amount_incl_tax, base_…} (Magento\Weee\Model\Total\Quote\Weee). Null: no list.
-#}
{% macro weee_taxes(value) -%}
    (
        select
            {% for prefix in ['', 'base_'] -%}
            sum(
                {{ number("(tax.entry ->> '" ~ prefix ~ "amount_incl_tax')") }}
                - {{ number("(tax.entry ->> '" ~ prefix ~ "amount')") }}
            ) as {{ prefix }}unit_tax_amount{{ "," if not loop.last }}
            {% endfor %}
        from jsonb_array_elements(
            {{ list_of("case when pg_input_is_valid(" ~ value ~ ", 'jsonb') then (" ~ value ~ ")::jsonb end") }}
        ) as tax (entry)
    )
{%- endmacro %}

{#-
Gift wrapping of an order, invoice or credit memo (Commerce), as net and tax: of the order, of its items and the greeting card,
which Magento sums for each document. `wrapping` is an alias made by `gift_wrap_record`.
-#}
{% macro gift_wrap_columns() -%}
    {% for prefix in ['', 'base_'] -%}
    {% for field, name in [('price', 'amount'), ('tax_amount', 'tax_amount')] -%}
    {{ number_or_zero('wrapping.gw_' ~ prefix ~ field) }}
    + {{ number_or_zero('wrapping.gw_items_' ~ prefix ~ field) }}
    + {{ number_or_zero('wrapping.gw_card_' ~ prefix ~ field) }} as {{ prefix }}gift_wrap_{{ name }},
    {% endfor -%}
    {% endfor -%}
{%- endmacro %}

{#- Commerce sends an empty text for wrapping that nobody asked for: that is no number, and no mistake. -#}
{% macro gift_wrap_record(payload) -%}
    lateral (
        select
            {% for field in gift_wrap_fields() -%}
            nullif(sent.{{ field }}, '') as {{ field }}{{ "," if not loop.last }}
            {% endfor %}
        from jsonb_to_record({{ object_of("(" ~ payload ~ " -> 'extension_attributes')") }}) as sent (
            {% for field in gift_wrap_fields() -%}
            {{ field }} text{{ "," if not loop.last }}
            {% endfor %}
        )
    ) as wrapping
{%- endmacro %}

{% macro gift_wrap_fields() -%}
    {%- set fields = [] -%}
    {%- for part in ['gw_', 'gw_items_', 'gw_card_'] -%}
    {%- for prefix in ['', 'base_'] -%}
    {%- do fields.append(part ~ prefix ~ 'price') -%}
    {%- do fields.append(part ~ prefix ~ 'tax_amount') -%}
    {%- endfor -%}
    {%- endfor -%}
    {{ return(fields) }}
{%- endmacro %}
