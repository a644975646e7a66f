select
    explained.connection,
    explained.order_id,
    explained.order_number,
    explained.store_code,
    explained.to_connection,
    explained.contact_key,
    explained.tracking,
    explained.ordered_at,
    explained.tax_zone,
    explained.ship_to_country_code,
    explained.is_business,
    explained.customer_group_id,
    explained.replaced_by_order_number,
    explained.replaces_order_id,
    explained.replaces_order_number,
    explained.document_currency,
    explained.document,
    explained.position,
    explained.key,
    explained.number,
    explained.document_id,
    explained.is_draft,
    explained.is_void,
    explained.is_deleted,
    explained.status,
    explained.is_refunded_online,
    explained.credited_invoice_id,
    explained.document_at,
    explained.document_date,
    explained.posting_date,
    explained.re_date,
    -- What an accountant looks for: the order, the order that it replaced, and the true date of what was dated later.
    explained.order_number
    || coalesce(' (replaces ' || explained.replaces_order_number || ')', '')
    || case
        when explained.posting_date <> explained.document_date then ' (' || explained.document_date || ')'
        else ''
    end as reference,
    explained.ledger_date,
    explained.currency_code,
    explained.ledger_base_currency_code,
    explained.currency_rate,
    explained.total_amount,
    explained.base_total_amount,
    explained.lines_net_amount,
    explained.lines_tax_amount,
    explained.lines,
    explained.payment_method,
    explained.has_method,
    explained.settlement,
    explained.settlement_account_code,
    explained.refund_by,
    explained.due_days,
    explained.skip,
    -- A cent or five that the vendor's rounding leaves over gets a line of its own; more is never swallowed.
    case when abs(explained.unexplained_amount) <= 0.05 then explained.unexplained_amount else 0 end as rounding_amount,
    rounding.account as rounding_account_code,
    {{ problems([
        'explained._problems',
        "case when explained.line_count = 0 then "
        ~ problem("'LineItems'", "null::text", "'The document has no line that can be read'",
                  "'Look at the document in the shop; Xero takes no document without lines'",
                  "'shop'", "'no lines'") ~ " end",
        "case when abs(explained.unexplained_amount) > 0.05 then "
        ~ problem("'grand_total'", "explained.total_amount::text",
                  "explained.unexplained_amount || ' ' || coalesce(explained.currency_code, '') || ' of the total ' || explained.total_amount || ' is not explained by the lines, shipping, tax and adjustments'",
                  "'Find what adds ' || explained.unexplained_amount || ' (a surcharge, a gift card, an extension) and give it a line, or correct the document in the shop'",
                  "'shop'", "'amount unexplained'") ~ " end",
        "case when explained.unexplained_amount <> 0 and abs(explained.unexplained_amount) <= 0.05 and rounding.account is null then "
        ~ problem("'AccountCode'", "'rounding'", "'No account is set for rounding lines'",
                  "'Add to line_accounts.csv: ' || concat_ws(',', explained.connection, 'rounding', '<account>', '', '')",
                  "'accountant'", "'lookup line_accounts: rounding'") ~ " end",
    ]) }} as _problems
from (
    select
        documents.*,
        coalesce(totals.net_amount, 0) as lines_net_amount,
        coalesce(totals.tax_amount, 0) as lines_tax_amount,
        documents.total_amount - coalesce(totals.net_amount, 0) - coalesce(totals.tax_amount, 0) as unexplained_amount,
        totals.line_count
    from {{ ref('int_documents') }} as documents
    cross join lateral (
        select
            {% for amount in ['net_amount', 'tax_amount'] -%}
            sum(case documents.document_currency when 'base' then line.base_{{ amount }} else line.{{ amount }} end)
                as {{ amount }},
            {% endfor -%}
            count(*) as line_count
        from jsonb_to_recordset(documents.lines) as line (
            net_amount numeric, base_net_amount numeric, tax_amount numeric, base_tax_amount numeric
        )
    ) as totals
) as explained
left join lateral (
    select {{ first('rounding_accounts.account', 'rounding_accounts.valid_from desc nulls last, rounding_accounts.account') }} as account
    from {{ ref('line_accounts') }} as rounding_accounts
    where
        rounding_accounts.connection = explained.connection
        and rounding_accounts.line_kind = 'rounding'
        and {{ in_force('rounding_accounts', 'explained.document_date') }}
) as rounding on true
