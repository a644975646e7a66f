with families as (
    select
        order_lines.*,
        max(order_lines.product_type) filter (where order_lines.parent_order_line_id is null) over family as family_type,
        coalesce(
            sum(abs(order_lines.gross_amount) + abs(order_lines.discount_amount))
                filter (where order_lines.parent_order_line_id is not null) over family,
            0
        ) > 0 as children_carry_money,
        min(order_lines.product_id) filter (where order_lines.parent_order_line_id is not null) over family as child_product_id
    from {{ ref('stg_magento__order_lines') }} as order_lines
    window
        family as (
            partition by
                order_lines.connection,
                order_lines.order_id,
                coalesce(order_lines.parent_order_line_id, order_lines.order_line_id)
        )
)

select
    'magento'::text as system,
    families.connection,
    families.order_id,
    families.order_line_id,
    families.parent_order_line_id,
    families.line_number,
    families.product_id,
    case
        when families.product_type = 'configurable' then coalesce(families.child_product_id, families.product_id)
        else families.product_id
    end as variant_product_id,
    families.product_type,
    families.sku,
    families.name,
    case families.product_type when 'giftcard' then 'gift_card' else 'product' end as line_kind,
    coalesce(families.is_virtual, false) as is_virtual,
    -- A configurable carries its money on the parent; a bundle on the children when they have any (dynamic price), else on
    -- the parent (fixed price). Counting both would double it.
    case
        when families.parent_order_line_id is null
            then coalesce(families.product_type, '') <> 'bundle' or not families.children_carry_money
        else coalesce(families.family_type, '') = 'bundle' and families.children_carry_money
    end as is_billed,
    families.ordered_quantity,
    families.invoiced_quantity,
    families.shipped_quantity,
    families.refunded_quantity,
    families.cancelled_quantity,
    families.price,
    families.base_price,
    round(families.discount_amount - families.discount_tax_compensation_amount, 2) as discount_amount,
    round(families.base_discount_amount - families.base_discount_tax_compensation_amount, 2) as base_discount_amount,
    -- Not row_total: three versions of Magento rewrite it in three ways. Fixed product taxes are in it, in the base twin
    -- by the piece.
    round(families.gross_amount - families.tax_amount - coalesce(families.weee_amount, 0), 2) as net_amount,
    round(families.base_gross_amount - families.base_tax_amount - coalesce(families.base_weee_unit_amount, 0), 2)
        as base_net_amount,
    round(families.tax_amount, 2) as tax_amount,
    round(families.base_tax_amount, 2) as base_tax_amount,
    families.tax_code,
    families.tax_percent,
    families.weee_unit_amount,
    families.base_weee_unit_amount,
    families.weee_unit_tax_amount,
    families.base_weee_unit_tax_amount,
    coalesce(families.weee_tax_code, families.tax_code) as weee_tax_code,
    case when families.weee_tax_code is null then families.tax_percent else families.weee_tax_percent end
        as weee_tax_percent,
    families._problems
from families
