select
    routed.*,
    -- Units of the document's currency for one unit of the ledger's base currency.
    case
        when routed.rate_source <> 'table' then routed.shop_rate
        when routed.currency_code is distinct from routed.ledger_base_currency_code then daily.rate
    end as currency_rate,
    {{ posting_date('routed.document_date', 'routed.re_date', 'routed.locked_until', 'posted.said_date') }} as posting_date,
    method.method is not null as has_method,
    method.settlement,
    method.account as settlement_account_code,
    method.refund_by,
    coalesce(nullif(method.settles_in, ''), 'document') as settles_in,
    case when method.due_days ~ '^[0-9]{1,3}$' then method.due_days::integer else 0 end as due_days,
    case
        when routed.is_draft and not routed.has_drafts and posted.said_date is null
            then
                case when routed.is_void then 'cancelled before it was invoiced' else 'not invoiced yet: the route makes no drafts' end
                || coalesce(', replaced by ' || routed.replaced_by_order_number, '')
        when not routed.has_route then null
        when routed.billing <> 'shop' then 'billed by ' || routed.billing
        when to_char(routed.document_date, 'YYYY-MM-DD') < routed.cut_over then 'before cut-over'
    end as skip,
    {{ problems([
        "case when routed.document = 'invoice' then routed.order_problems end",
        'routed.document_problems',
        "case when routed.total_amount is null then "
        ~ problem("'grand_total'", "null::text", "'The document has no readable total'",
                  "'Correct grand_total in the source system'", "'shop'", "'total missing'") ~ " end",
        "case when coalesce(routed.currency_code, '') = '' then "
        ~ problem("'order_currency_code'", "null::text", "'The document has no currency'",
                  "'Correct the currency in the source system'", "'shop'", "'currency missing'") ~ " end",
        "case when ledger.has_currencies and not coalesce(ledger.has_currency, false) then "
        ~ problem("'CurrencyCode'", "routed.currency_code",
                  "'The organisation behind ' || routed.to_connection || ' does not use the currency ' || routed.currency_code",
                  "'Add ' || routed.currency_code || ' in Xero under Settings, Currencies, or set document_currency to base on the route of store ' || coalesce(routed.store_code, '?')",
                  "'accountant'", "'currency not in Xero'") ~ " end",
        "case when routed.rate_source not in ('xero', 'table') and routed.currency_code <> routed.ledger_base_currency_code and routed.shop_base_currency_code <> routed.ledger_base_currency_code then "
        ~ problem("'CurrencyRate'", "routed.shop_base_currency_code",
                  "'The shop keeps its books in ' || routed.shop_base_currency_code || ' and the organisation in ' || routed.ledger_base_currency_code || ', so the order has no rate between ' || routed.currency_code || ' and the latter'",
                  "'Set rate_source to table or xero on the route of store ' || coalesce(routed.store_code, '?')",
                  "'accountant'", "'no exchange rate'") ~ " end",
        "case when routed.rate_source = 'table' and routed.currency_code <> routed.ledger_base_currency_code and coalesce(daily.rate, 0) <= 0 then "
        ~ problem("'CurrencyRate'", "routed.currency_code",
                  "'No rate between ' || routed.currency_code || ' and ' || routed.ledger_base_currency_code || ' is known for ' || routed.document_date || ' or a day before'",
                  "'Add to daily_rates.csv: ' || concat_ws(',', routed.ledger_base_currency_code, routed.currency_code, routed.document_date, '<' || routed.currency_code || ' for 1 ' || routed.ledger_base_currency_code || '>', '<source>')",
                  "'accountant'", "'lookup daily_rates: ' || routed.currency_code") ~ " end",
    ]) }} as _problems
from (
    select
        driver.connection,
        driver.order_id,
        orders.order_number,
        orders.store_code,
        orders.to_connection,
        orders.has_route,
        orders.billing,
        orders.cut_over,
        orders.is_cancelled,
        orders.ordered_at,
        orders.tax_zone,
        orders.ship_to_country_code,
        orders.is_business,
        orders.has_drafts,
        orders.customer_group_id,
        orders.replaced_by_order_number,
        orders.replaces_order_id,
        orders.replaces_order_number,
        orders.re_date,
        orders.locked_until,
        orders.tracking,
        orders.contact_key,
        orders.payment_method,
        orders.document_currency,
        orders.ledger_base_currency_code,
        orders._problems as order_problems,
        documents.document,
        documents.position,
        documents.document_id,
        documents.is_draft,
        documents.status,
        documents.is_void,
        documents.is_deleted,
        documents.credited_invoice_id,
        documents.is_refunded_online,
        documents.document_at,
        documents.document_date,
        documents._problems as document_problems,
        documents.lines,
        driver.connection || '/order/' || driver.order_id
        || case documents.document when 'credit' then '/credit/' else '/' end || documents.position as key,
        case
            when documents.is_draft then orders.number_prefix || 'DRAFT-' || orders.order_number || '-' || documents.position
            when documents.document = 'credit' then orders.credit_prefix || documents.document_number
            else orders.number_prefix || documents.document_number
        end as number,
        {{ business_date('documents.document_at', 'orders.ledger_time_zone') }} as ledger_date,
        case orders.document_currency when 'base' then documents.base_currency_code else documents.currency_code end
            as currency_code,
        documents.base_currency_code as shop_base_currency_code,
        {% for amount in ['total', 'cash', 'gift_card', 'store_credit', 'reward'] -%}
        case orders.document_currency
            when 'base' then documents.base_{{ amount }}_amount else documents.{{ amount }}_amount
        end as {{ amount }}_amount,
        documents.base_{{ amount }}_amount,
        {% endfor -%}
        documents.transaction_id,
        -- The same as the shop has it, for its own base currency.
        case
            when orders.document_currency = 'base' or orders.rate_source = 'xero' then null
            when documents.currency_code = documents.base_currency_code then null
            when orders.rate_source = 'order' or documents.base_total_amount = 0 then documents.currency_rate
            else round(documents.total_amount / documents.base_total_amount, 6)
        end as shop_rate,
        orders.rate_source
    from {{ ref('stg_magento__order_keys') }} as driver
    cross join {{ of_order(ref('int_orders_routed'), 'driver', 'orders') }}
    -- Each kind is fenced by itself, so that who asks for one kind does not pay for the others.
    cross join lateral (
        select
            'invoice'::text as document,
            false as is_draft,
            null::text as credited_invoice_id,
            false as is_refunded_online,
            fenced.*
        from (
            select
                -- The slot: numbers never move, because no invoice is ever put before another.
                row_number() over (order by length(invoices.invoice_id), invoices.invoice_id)::integer as position,
                invoices.invoice_id as document_id,
                invoices.invoice_number as document_number,
                invoices.status,
                invoices.is_void,
                invoices.is_deleted,
                invoices.invoiced_at as document_at,
                invoices.invoice_date as document_date,
                invoices.currency_code,
                invoices.base_currency_code,
                invoices.currency_rate,
                {% for amount in ['total', 'cash', 'gift_card', 'store_credit', 'reward'] -%}
                invoices.{{ amount }}_amount,
                invoices.base_{{ amount }}_amount,
                {% endfor -%}
                invoices.transaction_id,
                invoices._problems,
                (
                    select jsonb_agg(to_jsonb(line))
                    from (
                        select
                            {{ plain_line('lines') }}
                        from {{ ref('invoice_lines') }} as lines
                        where
                            lines.system = 'magento'
                            and lines.connection = driver.connection
                            and lines.order_id = driver.order_id
                            and lines.invoice_id = invoices.invoice_id
                    ) as line
                ) as lines
            from {{ ref('invoices') }} as invoices
            where
                invoices.system = 'magento'
                and invoices.connection = driver.connection
                and invoices.order_id = driver.order_id
            offset 0
        ) as fenced

        union all

        -- What is not invoiced yet takes the next free slot as a draft and becomes the next invoice.
        select
            'invoice'::text as document,
            true as is_draft,
            null::text as credited_invoice_id,
            false as is_refunded_online,
            fenced.*
        from (
            with left_lines as materialized (
                select order_lines.*
                from {{ ref('int_order_lines_left') }} as order_lines
                where order_lines.connection = driver.connection and order_lines.order_id = driver.order_id
            )

            select
                invoiced.position + 1 as position,
                null::text as document_id,
                orders.order_number as document_number,
                'draft'::text as status,
                left_to_invoice.left_quantity <= 0 or orders.is_cancelled as is_void,
                orders.is_deleted,
                orders.ordered_at as document_at,
                orders.order_date as document_date,
                orders.currency_code,
                orders.base_currency_code,
                orders.base_to_order_rate as currency_rate,
                left_to_invoice.left_amount
                + case
                    when invoiced.live_count = 0
                        then
                            orders.shipping_amount + orders.shipping_tax_amount
                            + coalesce(orders.gift_wrap_amount + orders.gift_wrap_tax_amount, 0)
                    else 0
                end as total_amount,
                left_to_invoice.left_base_amount
                + case
                    when invoiced.live_count = 0
                        then
                            orders.base_shipping_amount + orders.base_shipping_tax_amount
                            + coalesce(orders.base_gift_wrap_amount + orders.base_gift_wrap_tax_amount, 0)
                    else 0
                end as base_total_amount,
                -- Nothing is paid on a draft.
                {% for amount in ['cash', 'gift_card', 'store_credit', 'reward'] -%}
                0::numeric as {{ amount }}_amount,
                0::numeric as base_{{ amount }}_amount,
                {% endfor -%}
                null::text as transaction_id,
                {{ problems([]) }} as _problems,
                (
                    select jsonb_agg(to_jsonb(line))
                    from (
                        select
                            order_lines.order_line_id as line_id,
                            order_lines.line_kind,
                            order_lines.line_number,
                            order_lines.product_id,
                            order_lines.sku,
                            order_lines.name as description,
                            order_lines.left_quantity as quantity,
                            order_lines.price,
                            order_lines.base_price,
                            case when order_lines.is_untouched then order_lines.discount_amount end as discount_amount,
                            case when order_lines.is_untouched then order_lines.base_discount_amount end
                                as base_discount_amount,
                            order_lines.left_net_amount as net_amount,
                            order_lines.left_base_net_amount as base_net_amount,
                            order_lines.left_tax_amount as tax_amount,
                            order_lines.left_base_tax_amount as base_tax_amount,
                            order_lines.tax_code,
                            order_lines.tax_percent,
                            order_lines._problems
                        from left_lines as order_lines
                        where order_lines.left_quantity > 0

                        union all

                        select
                            order_lines.order_line_id || '/weee' as line_id,
                            'weee'::text as line_kind,
                            50000 + order_lines.line_number as line_number,
                            null::text as product_id,
                            null::text as sku,
                            'Fixed product tax: ' || coalesce(nullif(order_lines.name, ''), order_lines.sku, 'item')
                                as description,
                            1::numeric as quantity,
                            order_lines.left_weee_amount as price,
                            order_lines.left_base_weee_amount as base_price,
                            0::numeric as discount_amount,
                            0::numeric as base_discount_amount,
                            order_lines.left_weee_amount as net_amount,
                            order_lines.left_base_weee_amount as base_net_amount,
                            order_lines.left_weee_tax_amount as tax_amount,
                            order_lines.left_base_weee_tax_amount as base_tax_amount,
                            case when order_lines.left_weee_tax_amount <> 0 then order_lines.weee_tax_code end as tax_code,
                            case when order_lines.left_weee_tax_amount <> 0 then order_lines.weee_tax_percent end
                                as tax_percent,
                            {{ problems([]) }} as _problems
                        from left_lines as order_lines
                        where order_lines.left_weee_amount <> 0

                        union all

                        -- The first invoice carries all shipping and wrapping.
                        select
                            extra.line_kind as line_id,
                            extra.line_kind,
                            extra.line_number,
                            null::text as product_id,
                            null::text as sku,
                            extra.description,
                            1::numeric as quantity,
                            extra.net_amount as price,
                            extra.base_net_amount as base_price,
                            0::numeric as discount_amount,
                            0::numeric as base_discount_amount,
                            extra.net_amount,
                            extra.base_net_amount,
                            extra.tax_amount,
                            extra.base_tax_amount,
                            extra.tax_code,
                            extra.tax_percent,
                            {{ problems([]) }} as _problems
                        from (
                            values
                            (
                                'shipping',
                                100000,
                                'Shipping',
                                orders.shipping_amount,
                                orders.base_shipping_amount,
                                orders.shipping_tax_amount,
                                orders.base_shipping_tax_amount,
                                orders.shipping_tax_code,
                                orders.shipping_tax_percent
                            ),
                            (
                                'gift_wrap',
                                99999,
                                'Gift Wrap',
                                orders.gift_wrap_amount,
                                orders.base_gift_wrap_amount,
                                orders.gift_wrap_tax_amount,
                                orders.base_gift_wrap_tax_amount,
                                orders.gift_wrap_tax_code,
                                orders.gift_wrap_tax_percent
                            )
                        ) as extra (
                            line_kind, line_number, description, net_amount, base_net_amount, tax_amount, base_tax_amount,
                            tax_code, tax_percent
                        )
                        where invoiced.carrying_count = 0 and (extra.net_amount <> 0 or extra.tax_amount <> 0)
                    ) as line
                ) as lines
            from (
                select
                    sum(order_lines.left_quantity) as left_quantity,
                    sum(order_lines.cancelled_quantity) as cancelled_quantity,
                    sum(
                        order_lines.left_net_amount + order_lines.left_tax_amount
                        + coalesce(order_lines.left_weee_amount + order_lines.left_weee_tax_amount, 0)
                    ) as left_amount,
                    sum(
                        order_lines.left_base_net_amount + order_lines.left_base_tax_amount
                        + coalesce(order_lines.left_base_weee_amount + order_lines.left_base_weee_tax_amount, 0)
                    ) as left_base_amount
                from left_lines as order_lines
            ) as left_to_invoice
            cross join (
                select
                    count(*)::integer as position,
                    count(*) filter (
                        where coalesce(invoices.state, '') <> 'cancelled' and invoices.deleted_at is null
                    ) as live_count,
                    -- Of a state that nobody knows it may be cancelled: the check of the total then tells.
                    count(*) filter (where invoices.state <> 'cancelled' and invoices.deleted_at is null) as carrying_count
                from {{ ref('stg_magento__invoices') }} as invoices
                where invoices.connection = driver.connection and invoices.order_id = driver.order_id
            ) as invoiced
            where
                (left_to_invoice.left_quantity > 0 or left_to_invoice.cancelled_quantity > 0)
            offset 0
        ) as fenced

        union all

        select
            'credit'::text as document,
            false as is_draft,
            fenced.*
        from (
            select
                credit_notes.invoice_id as credited_invoice_id,
                credit_notes.is_refunded_online,
                row_number() over (
                    order by length(credit_notes.credit_note_id), credit_notes.credit_note_id
                )::integer as position,
                credit_notes.credit_note_id as document_id,
                credit_notes.credit_note_number as document_number,
                credit_notes.status,
                credit_notes.is_void,
                credit_notes.is_deleted,
                credit_notes.credited_at as document_at,
                credit_notes.credit_note_date as document_date,
                credit_notes.currency_code,
                credit_notes.base_currency_code,
                credit_notes.currency_rate,
                {% for amount in ['total', 'cash', 'gift_card', 'store_credit', 'reward'] -%}
                credit_notes.{{ amount }}_amount,
                credit_notes.base_{{ amount }}_amount,
                {% endfor -%}
                credit_notes.transaction_id,
                credit_notes._problems,
                (
                    select jsonb_agg(to_jsonb(line))
                    from (
                        select
                            {{ plain_line('lines', has_discount=false) }}
                        from {{ ref('credit_note_lines') }} as lines
                        where
                            lines.system = 'magento'
                            and lines.connection = driver.connection
                            and lines.order_id = driver.order_id
                            and lines.credit_note_id = credit_notes.credit_note_id
                    ) as line
                ) as lines
            from {{ ref('credit_notes') }} as credit_notes
            where
                credit_notes.system = 'magento'
                and credit_notes.connection = driver.connection
                and credit_notes.order_id = driver.order_id
            offset 0
        ) as fenced
    ) as documents
) as routed
left join lateral (
    select payment_methods.*
    from {{ ref('payment_methods') }} as payment_methods
    where
        payment_methods.connection = routed.connection
        and lower(payment_methods.method) = lower(routed.payment_method)
        and {{ in_force('payment_methods', 'routed.document_date') }}
    order by payment_methods.valid_from desc nulls last, payment_methods.account
    limit 1
) as method on true
left join lateral (
    select
        count(*) > 0 as has_currencies,
        bool_or(currencies.currency_code = routed.currency_code) as has_currency
    from {{ ref('stg_xero__currencies') }} as currencies
    where currencies.connection = routed.to_connection and currencies.deleted_at is null
) as ledger on true
-- The nearest day before counts: banks and offices publish no rate at the weekend. Of one day the accountant's row counts,
-- not what the shop said on it.
left join lateral (
    select {{ first('exchange_rates.rate', 'exchange_rates.rate_date desc, exchange_rates.connection is not null') }} as rate
    from {{ ref('exchange_rates') }} as exchange_rates
    where
        routed.rate_source = 'table'
        and (exchange_rates.connection = routed.connection or exchange_rates.connection is null)
        and exchange_rates.base_currency_code = routed.ledger_base_currency_code
        and exchange_rates.currency_code = routed.currency_code
        and exchange_rates.rate_date <= routed.document_date
) as daily on true
left join lateral (
    -- Only a re-dated document names its true date: it stays where it was put, wherever the lock date goes.
    select
        max(
            case
                when link.said ->> 'Reference' like '%(' || routed.document_date || ')'
                    then {{ xero_date("(link.said ->> 'Date')") }}
                else routed.document_date
            end
        )
        filter (
            where
            link.target_id is not null
            and not link.is_gone
            -- A draft that becomes the invoice is dated anew.
            and (routed.is_draft or link.said ->> 'Status' <> 'DRAFT')
        ) as said_date
    from {{ source('engine', 'links') }} as link
    where
        link.connection = routed.to_connection
        and link.entity = case routed.document when 'credit' then 'credit_notes' else 'invoices' end
        and link.key = routed.key
) as posted on true
