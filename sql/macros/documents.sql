{#-
The documents of an order as they are due in the ledger, around the query that says which (`call`): numbers, dates, currency, rate,
method, and why one is not posted. That query is lateral to `driver`, an order, and has the columns of int_invoice_slots with
document, is_draft and, when `is_whole`, lines. Who needs no lines and no problems leaves them out: what a statement does not
name is planned all the same.
-#}
{% macro documented(is_whole=true) -%}
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
    end as skip{% if is_whole %},
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
    ]) }} as _problems{% endif %}

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
        orders.overpayments,
        orders.deposit_account_code,
        {% if is_whole -%}
        orders._problems as order_problems,
        documents._problems as document_problems,
        documents.lines,
        {% endif -%}
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
    cross join lateral (
        {{ caller() }}
    ) as documents
) as routed
left join lateral (
    {{ method_in_force('routed.connection', 'routed.payment_method', 'routed.document_date') }}
) as method on true
{% if is_whole -%}
left join lateral (
    select
        count(*) > 0 as has_currencies,
        bool_or(currencies.currency_code = routed.currency_code) as has_currency
    from {{ ref('stg_xero__currencies') }} as currencies
    where currencies.connection = routed.to_connection and currencies.deleted_at is null
) as ledger on true
{% endif -%}
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
{%- endmacro %}

{#- What a document has before its lines: the columns of int_invoice_slots and int_credit_slots, alias `slots`. -#}
{% macro slot_columns() -%}
    slots.position,
    slots.document_id,
    slots.document_number,
    slots.credited_invoice_id,
    slots.is_refunded_online,
    slots.status,
    slots.is_void,
    slots.is_deleted,
    slots.document_at,
    slots.document_date,
    slots.currency_code,
    slots.base_currency_code,
    slots.currency_rate,
    {% for amount in ['total', 'cash', 'gift_card', 'store_credit', 'reward'] -%}
    slots.{{ amount }}_amount,
    slots.base_{{ amount }}_amount,
    {% endfor -%}
    slots.transaction_id,
    slots._problems
{%- endmacro %}
