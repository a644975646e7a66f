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

{#- The tax on shipping and on gift wrapping that an order's list of applied taxes names, as a lateral subquery of one row. -#}
{% macro order_taxes(applied_taxes) -%}
    lateral (
        select
            string_agg(applied.code, '+' order by applied.code) filter (where applied.is_shipping) as shipping_tax_code,
            sum(applied.percent) filter (where applied.is_shipping) as shipping_tax_percent,
            string_agg(applied.code, '+' order by applied.code) filter (where not applied.is_shipping) as gift_wrap_tax_code,
            sum(applied.percent) filter (where not applied.is_shipping) as gift_wrap_tax_percent
        from (
            -- The order, its items and the card may each be wrapped: their rate counts once.
            select distinct
                entry.tax_of ->> 'type' = 'shipping' as is_shipping,
                tax.applied ->> 'code' as code,
                {{ number("(tax.applied ->> 'percent')") }} as percent
            from jsonb_array_elements({{ list_of("(" ~ applied_taxes ~ ")") }}) as entry (tax_of)
            cross join lateral jsonb_array_elements({{ list_of("(entry.tax_of -> 'applied_taxes')") }}) as tax (applied)
            where entry.tax_of ->> 'type' in ('shipping', 'quote_gw', 'items_gw', 'item_gw', 'printed_card_gw')
        ) as applied
    )
{%- endmacro %}

{#- The net amount of a line of an invoice or credit memo: after discount, `base` is '' or 'base_'. -#}
{% macro line_net_amount(line, base='') -%}
    round({{ line }}.{{ base }}row_total - {{ line }}.{{ base }}discount_amount + {{ line }}.{{ base }}discount_tax_compensation_amount, 2)
{%- endmacro %}

{#- The state of an invoice in words; a number that nobody knows gives null. -#}
{% macro invoice_state(value) -%}
    case {{ whole_number(value) }} when 1 then 'open' when 2 then 'paid' when 3 then 'cancelled' end
{%- endmacro %}
