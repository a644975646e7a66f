select
    'magento'::text as system,
    credit_memos.connection,
    credit_memos.credit_memo_id as credit_note_id,
    credit_memos.credit_memo_number as credit_note_number,
    'sale'::text as credit_note_type,
    credit_memos.order_id,
    credit_memos.invoice_id,
    null::text as contact_id,
    null::text as reference,
    credit_memos.state as status,
    coalesce(credit_memos.state = 'cancelled', false) or credit_memos.deleted_at is not null as is_void,
    credit_memos.deleted_at is not null as is_deleted,
    -- Made from an invoice or with a transaction: the gateway itself gave the money back.
    nullif(credit_memos.invoice_id, '') is not null or nullif(credit_memos.transaction_id, '') is not null
        as is_refunded_online,
    credit_memos.credited_at,
    {{ business_date('credit_memos.credited_at', 'store_configs.time_zone') }} as credit_note_date,
    credit_memos.currency_code,
    credit_memos.base_currency_code,
    credit_memos.base_to_order_rate as currency_rate,
    -- As with invoices: the full total, and what of it went back to where.
    {% for base in ['', 'base_'] -%}
    {% set document = 'credit_memos.' ~ base -%}
    {% set total = (
        'round(' ~ document ~ 'grand_total, 2) + ' ~ document ~ 'gift_card_amount + ' ~ document ~ 'store_credit_amount'
        ~ ' + coalesce(points.' ~ base ~ 'amount, 0)'
    ) -%}
    {{ total }} - round(credit_memos.{{ base }}tax_amount, 2) as {{ base }}net_amount,
    round(credit_memos.{{ base }}tax_amount, 2) as {{ base }}tax_amount,
    {{ total }} as {{ base }}total_amount,
    {% endfor -%}
    {% for base in ['', 'base_'] -%}
    round(credit_memos.{{ base }}grand_total, 2) - coalesce(turned.{{ base }}amount, 0) as {{ base }}cash_amount,
    credit_memos.{{ base }}gift_card_amount,
    credit_memos.{{ base }}store_credit_amount + coalesce(turned.{{ base }}amount, 0) as {{ base }}store_credit_amount,
    coalesce(points.{{ base }}amount, 0) as {{ base }}reward_amount,
    {% endfor -%}
    credit_memos.transaction_id,
    null::numeric as open_amount,
    credit_memos._problems
from {{ ref('stg_magento__credit_memos') }} as credit_memos
left join {{ ref('stg_magento__store_configs') }} as store_configs
    on
        credit_memos.connection = store_configs.connection
        and credit_memos.store_id = store_configs.store_id
left join
    {{ reward_share(
        ref('stg_magento__credit_memos'), 'credit_memo_id',
        [
            'subtotal', 'shipping_amount', 'tax_amount', 'discount_amount', 'discount_tax_compensation_amount',
            'adjustment', 'gift_wrap_amount',
        ],
        'credit_memos'
    ) }}
    as points on true
-- Money that was turned into store credit: only the order says how much, over all its memos. Those that the gateway did
-- not refund take it, the oldest first.
left join lateral (
    select
        {% for base in ['', 'base_'] -%}
        greatest(least(round(shares.{{ base }}grand_total, 2), shares.{{ base }}left_amount), 0) as {{ base }}amount{{ "," if not loop.last }}
        {% endfor %}
    from (
        select
            balances.store_credit_given_amount,
            balances.base_store_credit_given_amount
        from {{ ref('stg_magento__order_balances') }} as balances
        where
            balances.connection = credit_memos.connection
            and balances.order_id = credit_memos.order_id
            and balances.store_credit_given_amount > 0
        offset 0
    ) as given
    cross join lateral (
        select
            others.credit_memo_id,
            {% for base in ['', 'base_'] -%}
            others.{{ base }}grand_total,
            given.{{ base }}store_credit_given_amount - sum(others.{{ base }}store_credit_amount) over ()
            - coalesce(
                sum(round(others.{{ base }}grand_total, 2)) over (
                    order by
                        (coalesce(others.transaction_id, '') <> '')::int,
                        length(others.credit_memo_id),
                        others.credit_memo_id
                    rows between unbounded preceding and 1 preceding
                ),
                0
            ) as {{ base }}left_amount{{ "," if not loop.last }}
            {% endfor %}
        from {{ ref('stg_magento__credit_memos') }} as others
        where
            others.connection = credit_memos.connection
            and others.order_id = credit_memos.order_id
            and coalesce(others.state, '') <> 'cancelled'
            and others.deleted_at is null
        offset 0
    ) as shares
    where shares.credit_memo_id = credit_memos.credit_memo_id
    offset 0
) as turned on true

union all

select
    'xero'::text as system,
    xero_credit_notes.connection,
    xero_credit_notes.credit_note_id,
    xero_credit_notes.credit_note_number,
    case xero_credit_notes.document_type when 'ACCRECCREDIT' then 'sale' when 'ACCPAYCREDIT' then 'purchase' end
        as credit_note_type,
    null::text as order_id,
    null::text as invoice_id,
    xero_credit_notes.contact_id,
    xero_credit_notes.reference,
    xero_credit_notes.status,
    coalesce(xero_credit_notes.status in ('VOIDED', 'DELETED'), false) or xero_credit_notes.deleted_at is not null
        as is_void,
    xero_credit_notes.deleted_at is not null as is_deleted,
    null::boolean as is_refunded_online,
    null::timestamptz as credited_at,
    xero_credit_notes.document_date as credit_note_date,
    xero_credit_notes.currency_code,
    null::text as base_currency_code,
    xero_credit_notes.currency_rate,
    xero_credit_notes.net_amount,
    xero_credit_notes.tax_amount,
    xero_credit_notes.total_amount,
    round(xero_credit_notes.net_amount / nullif(coalesce(xero_credit_notes.currency_rate, 1), 0), 2)
        as base_net_amount,
    round(xero_credit_notes.tax_amount / nullif(coalesce(xero_credit_notes.currency_rate, 1), 0), 2)
        as base_tax_amount,
    round(xero_credit_notes.total_amount / nullif(coalesce(xero_credit_notes.currency_rate, 1), 0), 2)
        as base_total_amount,
    null::numeric as cash_amount,
    null::numeric as gift_card_amount,
    null::numeric as store_credit_amount,
    null::numeric as reward_amount,
    null::numeric as base_cash_amount,
    null::numeric as base_gift_card_amount,
    null::numeric as base_store_credit_amount,
    null::numeric as base_reward_amount,
    null::text as transaction_id,
    xero_credit_notes.remaining_amount as open_amount,
    xero_credit_notes._problems
from {{ ref('stg_xero__credit_notes') }} as xero_credit_notes
