select
    'magento'::text as system,
    documents.connection,
    documents.credit_memo_id as credit_note_id,
    documents.order_id,
    line.line_id,
    line.line_kind,
    line.line_number,
    line.product_id,
    line.variant_product_id,
    line.sku,
    line.description,
    line.quantity,
    line.price,
    line.base_price,
    line.discount_amount,
    line.base_discount_amount,
    line.net_amount,
    line.base_net_amount,
    line.tax_amount,
    line.base_tax_amount,
    line.tax_code,
    line.tax_percent,
    null::text as account_code,
    null::text as tax_type,
    line._problems
from {{ ref('stg_magento__credit_memos') }} as documents
-- A memo of an adjustment alone lists every product, none of it sent back.
cross join lateral (
    {{ billed_lines(
        ref('stg_magento__credit_memo_lines'), 'credit_memo_id',
        more='(document_lines.quantity <> 0 or document_lines.row_total <> 0 or document_lines.tax_amount <> 0)'
    ) }}

    union all

    select
        {{ extra_line() }}
    from (
        select
            sum(billed_lines.discount_amount) as discount_amount,
            sum(billed_lines.base_discount_amount) as base_discount_amount,
            sum(billed_lines.discount_tax_compensation_amount) as compensation_amount,
            sum(billed_lines.base_discount_tax_compensation_amount) as base_compensation_amount
        from billed_lines
    ) as totals
    cross join lateral (
        values
        (
            'shipping',
            100000,
            -- A credit memo folds shipping's compensation into the one of the header.
            round(
                documents.shipping_amount
                + (documents.discount_tax_compensation_amount - coalesce(totals.compensation_amount, 0))
                + documents.discount_amount + coalesce(totals.discount_amount, 0),
                2
            ),
            round(
                documents.base_shipping_amount
                + (documents.base_discount_tax_compensation_amount - coalesce(totals.base_compensation_amount, 0))
                + documents.base_discount_amount + coalesce(totals.base_discount_amount, 0),
                2
            ),
            round(documents.shipping_tax_amount, 2),
            round(documents.base_shipping_tax_amount, 2)
        ),
        (
            'gift_wrap',
            99999,
            round(documents.gift_wrap_amount, 2),
            round(documents.base_gift_wrap_amount, 2),
            round(documents.gift_wrap_tax_amount, 2),
            round(documents.base_gift_wrap_tax_amount, 2)
        ),
        (
            'adjustment',
            100001,
            round(documents.adjustment, 2),
            round(documents.base_adjustment, 2),
            0,
            0
        )
    ) as extra (line_kind, line_number, net_amount, base_net_amount, tax_amount, base_tax_amount)
    left join {{ ref('stg_magento__order_taxes') }} as taxes
        on taxes.connection = documents.connection and taxes.order_id = documents.order_id
    where extra.net_amount <> 0 or extra.tax_amount <> 0
) as line

union all

select
    'xero'::text as system,
    xero_lines.connection,
    xero_lines.credit_note_id,
    null::text as order_id,
    xero_lines.line_id,
    'product'::text as line_kind,
    xero_lines.line_number,
    null::text as product_id,
    null::text as variant_product_id,
    xero_lines.item_code as sku,
    xero_lines.description,
    xero_lines.quantity,
    xero_lines.unit_amount as price,
    null::numeric as base_price,
    null::numeric as discount_amount,
    null::numeric as base_discount_amount,
    case
        when xero_lines.line_amount_types = 'Inclusive' then xero_lines.line_amount - xero_lines.tax_amount
        else xero_lines.line_amount
    end as net_amount,
    null::numeric as base_net_amount,
    xero_lines.tax_amount,
    null::numeric as base_tax_amount,
    null::text as tax_code,
    null::numeric as tax_percent,
    xero_lines.account_code,
    xero_lines.tax_type,
    xero_lines._problems
from {{ ref('stg_xero__credit_note_lines') }} as xero_lines
