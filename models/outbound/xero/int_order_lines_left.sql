select
    quantities.connection,
    quantities.order_id,
    quantities.order_line_id,
    quantities.line_number,
    quantities.product_id,
    quantities.variant_product_id,
    quantities.sku,
    quantities.name,
    quantities.line_kind,
    greatest(quantities.left_quantity, 0) as left_quantity,
    quantities.cancelled_quantity,
    quantities.is_untouched,
    quantities.price,
    quantities.base_price,
    quantities.discount_amount,
    quantities.base_discount_amount,
    {% for amount in ['net', 'base_net', 'tax', 'base_tax'] -%}
    case
        when quantities.left_quantity <= 0 then 0
        else round(quantities.open_{{ amount }}_amount * quantities.left_quantity / quantities.open_quantity, 2)
    end as left_{{ amount }}_amount,
    {% endfor -%}
    quantities.tax_code,
    quantities.tax_percent,
    {% for amount in ['weee', 'base_weee', 'weee_tax', 'base_weee_tax'] -%}
    round(quantities.{{ amount | replace('weee', 'weee_unit') }}_amount * greatest(quantities.left_quantity, 0), 2)
        as left_{{ amount }}_amount,
    {% endfor -%}
    quantities.weee_tax_code,
    quantities.weee_tax_percent,
    quantities._problems
from (
    select
        driver.connection,
        driver.order_id,
        order_lines.order_line_id,
        order_lines.line_number,
        order_lines.product_id,
        order_lines.variant_product_id,
        order_lines.sku,
        order_lines.name,
        order_lines.line_kind,
        order_lines.cancelled_quantity,
        order_lines.price,
        order_lines.base_price,
        order_lines.discount_amount,
        order_lines.base_discount_amount,
        order_lines.tax_code,
        order_lines.tax_percent,
        {% for amount in ['weee_unit', 'base_weee_unit', 'weee_unit_tax', 'base_weee_unit_tax'] -%}
        coalesce(order_lines.{{ amount }}_amount, 0) as {{ amount }}_amount,
        {% endfor -%}
        order_lines.weee_tax_code,
        order_lines.weee_tax_percent,
        order_lines._problems,
        order_lines.open_quantity,
        order_lines.open_quantity - order_lines.cancelled_quantity as left_quantity,
        {% for amount in ['net', 'base_net', 'tax', 'base_tax'] -%}
        order_lines.open_{{ amount }}_amount,
        {% endfor -%}
        order_lines.is_untouched
    from {{ ref('stg_magento__order_keys') }} as driver
    cross join lateral (
        select
            order_lines.*,
            order_lines.ordered_quantity - coalesce(invoiced.quantity, 0) as open_quantity,
            {% for amount in ['net', 'base_net', 'tax', 'base_tax'] -%}
            order_lines.{{ amount }}_amount - coalesce(invoiced.{{ amount }}_amount, 0) as open_{{ amount }}_amount,
            {% endfor -%}
            coalesce(invoiced.quantity, 0) = 0 and order_lines.cancelled_quantity = 0 as is_untouched
        from {{ ref('order_lines') }} as order_lines
        left join (
            select
                invoice_lines.order_line_id,
                sum(invoice_lines.quantity) as quantity,
                {% for base in ['', 'base_'] -%}
                sum({{ line_net_amount('invoice_lines', base) }}) as {{ base }}net_amount,
                sum(round(invoice_lines.{{ base }}tax_amount, 2)) as {{ base }}tax_amount{{ "," if not loop.last }}
                {% endfor %}
            from {{ ref('stg_magento__invoice_keys') }} as invoices
            inner join {{ ref('stg_magento__invoice_lines') }} as invoice_lines
                on invoices.connection = invoice_lines.connection and invoices.invoice_id = invoice_lines.invoice_id
            where
                invoices.connection = driver.connection
                and invoices.order_id = driver.order_id
                and coalesce(invoices.state, '') <> 'cancelled'
                and invoices.deleted_at is null
            group by invoice_lines.order_line_id
        ) as invoiced on order_lines.order_line_id = invoiced.order_line_id
        where
            order_lines.connection = driver.connection
            and order_lines.order_id = driver.order_id
            and order_lines.is_billed
            -- Of most orders everything is invoiced and nothing cancelled: their quantities alone tell, so nothing else is worked out.
            and (
                select
                    bool_or(
                        quantities.cancelled_quantity > 0
                        or quantities.ordered_quantity - coalesce(billed.quantity, 0) - quantities.cancelled_quantity > 0
                    )
                from {{ ref('stg_magento__order_lines') }} as quantities
                left join (
                    select
                        invoice_lines.order_line_id,
                        sum(invoice_lines.quantity) as quantity
                    from {{ ref('stg_magento__invoice_keys') }} as invoices
                    inner join {{ ref('stg_magento__invoice_lines') }} as invoice_lines
                        on invoices.connection = invoice_lines.connection and invoices.invoice_id = invoice_lines.invoice_id
                    where
                        invoices.connection = driver.connection
                        and invoices.order_id = driver.order_id
                        and coalesce(invoices.state, '') <> 'cancelled'
                        and invoices.deleted_at is null
                    group by invoice_lines.order_line_id
                ) as billed on quantities.order_line_id = billed.order_line_id
                where quantities.connection = driver.connection and quantities.order_id = driver.order_id
            )
        offset 0
    ) as order_lines
) as quantities
