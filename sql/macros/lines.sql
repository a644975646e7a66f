{#-
The columns of a line of a document before tax type, account and item are chosen, as int_documents hands it on in `lines`. Xero
takes no discount on the line of a credit note (`has_discount`).
-#}
{% macro plain_line(lines, has_discount=true) -%}
    {{ lines }}.line_id,
    {{ lines }}.line_kind,
    {{ lines }}.line_number,
    {{ lines }}.product_id,
    {{ lines }}.variant_product_id,
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

{#- Tax code and percent of a line of shipping or wrapping (`extra`), by what the order says of them (`taxes`). -#}
{% macro extra_line_taxes() -%}
    case extra.line_kind
        when 'shipping' then taxes.shipping_tax_code
        when 'gift_wrap' then coalesce(taxes.gift_wrap_tax_code, taxes.shipping_tax_code)
    end as tax_code,
    case
        when extra.line_kind = 'shipping' or (extra.line_kind = 'gift_wrap' and taxes.gift_wrap_tax_code is null)
            then taxes.shipping_tax_percent
        when extra.line_kind = 'gift_wrap' then taxes.gift_wrap_tax_percent
    end as tax_percent
{%- endmacro %}

{#- The columns of a line of shipping or wrapping (`extra`: its kind, number and amounts), as `plain_line` hands them on. -#}
{% macro extra_line(description="initcap(replace(extra.line_kind, '_', ' ')) as description") -%}
    extra.line_kind as line_id,
    extra.line_kind,
    extra.line_number,
    null::text as product_id,
    null::text as variant_product_id,
    null::text as sku,
    {{ description }},
    1::numeric as quantity,
    extra.net_amount as price,
    extra.base_net_amount as base_price,
    0::numeric as discount_amount,
    0::numeric as base_discount_amount,
    extra.net_amount,
    extra.base_net_amount,
    extra.tax_amount,
    extra.base_tax_amount,
    {{ extra_line_taxes() }},
    {{ problems([]) }} as _problems
{%- endmacro %}

{#-
The lines of products, and of their fixed taxes, of one invoice or credit memo: a query with the CTE `billed_lines`, to which
the document adds lines of its own. The document (`documents`) and its order are read once for all kinds of lines. `lines` is the staging
model of the document's lines, `id` the column of both that says which document, `more` a further condition.
-#}
{% macro billed_lines(lines, id, more=none) -%}
with order_lines as materialized (
    select
        order_lines.order_line_id,
        order_lines.product_id,
        order_lines.variant_product_id,
        order_lines.line_kind,
        order_lines.is_billed,
        order_lines.tax_code,
        order_lines.tax_percent,
        {% for prefix in ['', 'base_'] -%}
        order_lines.{{ prefix }}weee_unit_amount,
        order_lines.{{ prefix }}weee_unit_tax_amount,
        {% endfor -%}
        order_lines.weee_tax_code,
        order_lines.weee_tax_percent,
        order_lines._problems
    from {{ ref('order_lines') }} as order_lines
    where order_lines.connection = documents.connection and order_lines.order_id = documents.order_id
),

billed_lines as materialized (
    select
        document_lines.*,
        -- Of the order, which a change of its products leads to.
        order_lines.product_id as ordered_product_id,
        order_lines.variant_product_id,
        order_lines.tax_code,
        order_lines.tax_percent,
        coalesce(order_lines.line_kind, 'product') as line_kind,
        {% for prefix in ['', 'base_'] -%}
        round(
            coalesce(
                document_lines.{{ prefix }}weee_amount, order_lines.{{ prefix }}weee_unit_amount * document_lines.quantity
            ),
            2
        ) as {{ prefix }}weee_line_amount,
        round(order_lines.{{ prefix }}weee_unit_tax_amount * document_lines.quantity, 2) as {{ prefix }}weee_line_tax_amount,
        {% endfor -%}
        order_lines.weee_tax_code,
        order_lines.weee_tax_percent,
        order_lines._problems as order_line_problems
    from {{ lines }} as document_lines
    left join order_lines on document_lines.order_line_id = order_lines.order_line_id
    where
        document_lines.connection = documents.connection
        and document_lines.{{ id }} = documents.{{ id }}
        and coalesce(order_lines.is_billed, true)
        {% if more is not none -%}
        and {{ more }}
        {% endif -%}
)

select
    billed_lines.order_line_id as line_id,
    billed_lines.line_kind,
    billed_lines.line_number,
    billed_lines.ordered_product_id as product_id,
    billed_lines.variant_product_id,
    billed_lines.sku,
    billed_lines.name as description,
    billed_lines.quantity,
    billed_lines.price,
    billed_lines.base_price,
    round(billed_lines.discount_amount - billed_lines.discount_tax_compensation_amount, 2) as discount_amount,
    round(billed_lines.base_discount_amount - billed_lines.base_discount_tax_compensation_amount, 2)
        as base_discount_amount,
    {{ line_net_amount('billed_lines') }} as net_amount,
    {{ line_net_amount('billed_lines', 'base_') }} as base_net_amount,
    round(billed_lines.tax_amount, 2) as tax_amount,
    round(billed_lines.base_tax_amount, 2) as base_tax_amount,
    billed_lines.tax_code,
    billed_lines.tax_percent,
    -- The document repeats the fields of its order's line: one of them says it once.
    coalesce(billed_lines._problems, billed_lines.order_line_problems) as _problems
from billed_lines

union all

-- A fixed product tax belongs to its product, but to another account and often to no tax.
select
    billed_lines.order_line_id || '/weee' as line_id,
    'weee'::text as line_kind,
    50000 + billed_lines.line_number as line_number,
    null::text as product_id,
    null::text as variant_product_id,
    null::text as sku,
    'Fixed product tax: ' || coalesce(nullif(billed_lines.name, ''), billed_lines.sku, 'item') as description,
    1::numeric as quantity,
    billed_lines.weee_line_amount as price,
    billed_lines.base_weee_line_amount as base_price,
    0::numeric as discount_amount,
    0::numeric as base_discount_amount,
    billed_lines.weee_line_amount as net_amount,
    billed_lines.base_weee_line_amount as base_net_amount,
    coalesce(billed_lines.weee_line_tax_amount, 0) as tax_amount,
    coalesce(billed_lines.base_weee_line_tax_amount, 0) as base_tax_amount,
    case when billed_lines.weee_line_tax_amount <> 0 then billed_lines.weee_tax_code end as tax_code,
    case when billed_lines.weee_line_tax_amount <> 0 then billed_lines.weee_tax_percent end as tax_percent,
    {{ problems([]) }} as _problems
from billed_lines
where billed_lines.weee_line_amount <> 0
{%- endmacro %}
