{% set not_a_document -%}
null::text as document_id,
        null::timestamptz as document_at
{%- endset %}
-- Each movement of money that an order's invoices and payments ask for. What was posted once keeps its amount, because
-- payments never change in Xero: what is more gets a part of its own.
select
    driver.connection,
    driver.order_id,
    money.*
from {{ ref('stg_magento__order_keys') }} as driver
cross join lateral (
    with invoices as materialized (
        select
            documents.document_id,
            documents.document_at,
            documents.position,
            documents.key,
            driver.connection || '/order/' || driver.order_id || '/payment/' || documents.position as payment_key,
            documents.to_connection,
            documents.contact_key,
            documents.currency_code,
            documents.currency_rate,
            documents.ledger_base_currency_code,
            documents.shop_base_currency_code,
            documents.status,
            documents.is_void,
            documents.is_deleted,
            documents.document_date,
            documents.ledger_date,
            documents.skip,
            documents.payment_method,
            documents.has_method,
            documents.settlement,
            documents.settlement_account_code,
            documents.settles_in,
            documents.transaction_id,
            documents.total_amount,
            {% for amount in ['cash', 'gift_card', 'store_credit', 'reward'] -%}
            documents.{{ amount }}_amount,
            documents.base_{{ amount }}_amount,
            {% endfor -%}
            documents.order_number,
            documents.ordered_at,
            documents.re_date,
            documents.overpayments,
            documents.deposit_account_code,
            documents.locked_until,
            link.target_id as target_id
        from {{ ref('int_invoices') }} as documents
        left join {{ link_of('documents.to_connection', 'invoices', 'documents.key') }} as link on true
        where
            documents.connection = driver.connection
            and documents.order_id = driver.order_id
    ),

    -- What Xero has from us already, at the amount that was agreed.
    posted as materialized (
        {{ posted_money('driver') }}
    ),

    -- What others settled on our invoices in Xero: payments and credits that no key of ours stands for.
    others as materialized (
        select
            invoices.position,
            settled.amount
        from invoices
        cross join lateral (
            select payments.amount
            from {{ ref('stg_xero__payments') }} as payments
            where
                payments.connection = invoices.to_connection
                and payments.invoice_id = invoices.target_id
                and payments.deleted_at is null
                and coalesce(payments.status, '') <> 'DELETED'
                -- One of ours on its way, whose answer is not in yet.
                and not starts_with(coalesce(payments.reference, ''), invoices.payment_key)
                and not exists (
                    select 1
                    from {{ source('engine', 'links') }} as claimed
                    where
                        claimed.connection = payments.connection
                        and claimed.entity = 'payments'
                        and claimed.target_id = payments.payment_id
                        and not claimed.is_gone
                )
            union all
            select {{ number("(credit.entry ->> 'AppliedAmount')") }} as amount
            from {{ ref('stg_xero__invoices') }} as mirrored
            cross join lateral jsonb_array_elements({{ list_of('mirrored.credit_notes') }}) as credit (entry)
            where
                mirrored.connection = invoices.to_connection
                and mirrored.invoice_id = invoices.target_id
                and not exists (
                    select 1
                    from {{ source('engine', 'links') }} as claimed
                    where
                        claimed.connection = mirrored.connection
                        and claimed.entity = 'credit_notes'
                        and claimed.target_id = credit.entry ->> 'CreditNoteID'
                )
            union all
            select {{ number("(credit.entry ->> 'AppliedAmount')") }} as amount
            from {{ ref('stg_xero__invoices') }} as mirrored
            cross join lateral jsonb_array_elements(
                {{ list_of('mirrored.prepayments') }} || {{ list_of('mirrored.overpayments') }}
            ) as credit (entry)
            where
                mirrored.connection = invoices.to_connection
                and mirrored.invoice_id = invoices.target_id
                and not exists (
                    select 1
                    from posted
                    inner join {{ ref('stg_xero__bank_transactions') }} as made
                        on posted.target_id = made.bank_transaction_id
                    where
                        made.connection = mirrored.connection
                        and coalesce(credit.entry ->> 'PrepaymentID', credit.entry ->> 'OverpaymentID')
                        in (made.prepayment_id, made.overpayment_id)
                )
        ) as settled
        where invoices.target_id is not null and settled.amount > 0
    ),

    -- Gift cards, store credit and points: payments from the liability account, whether the rest is captured or not.
    liabilities as materialized (
        select
            invoices.*,
            liability.kind,
            liability.method,
            liability.amount,
            liability.base_amount,
            invoices.payment_key || '/' || liability.kind as movement_key,
            posted.key is not null as is_posted
        from invoices
        cross join lateral (
            values
            ('gift_card', 'giftcardaccount', invoices.gift_card_amount, invoices.base_gift_card_amount),
            ('store_credit', 'customerbalance', invoices.store_credit_amount, invoices.base_store_credit_amount),
            ('reward', 'reward', invoices.reward_amount, invoices.base_reward_amount)
        ) as liability (kind, method, amount, base_amount)
        left join posted on invoices.payment_key || '/' || liability.kind = posted.key
        where liability.amount > 0
    ),

    shares as materialized (
        {{ deposit_shares() }}
    ),

    -- Our payment is at most what is open after what others settled. A payment by a person that equals ours is ours: the
    -- engine links it, so it counts for nothing here.
    cash as materialized (
        select
            judged.*,
            greatest(least(judged.wanted_amount, judged.open_amount), judged.posted_amount) as amount
        from (
            select
                invoices.*,
                coalesce(shares.amount, 0) as deposit_amount,
                sums.posted_amount,
                sums.part_count,
                sums.first_amount,
                sums.overpaid_amount,
                sums.other_amount,
                wanted.amount as wanted_amount,
                invoices.total_amount - coalesce(shares.amount, 0) - sums.liability_amount - sums.other_amount
                + case
                    when
                        sums.part_count = 0
                        and exists (
                            select 1
                            from others
                            where others.position = invoices.position and others.amount = wanted.amount
                        )
                        then wanted.amount
                    else 0
                end
                + sums.matched_amount as open_amount
            from invoices
            left join shares on invoices.position = shares.position
            cross join lateral (
                select
                    (
                        select coalesce(sum(posted.amount), 0)
                        from posted
                        where posted.key = invoices.payment_key or posted.key ~ ('^' || {{ literal_pattern('invoices.payment_key') }} || '/[0-9]+$')
                    ) as posted_amount,
                    (
                        select count(*)
                        from posted
                        where posted.key = invoices.payment_key or posted.key ~ ('^' || {{ literal_pattern('invoices.payment_key') }} || '/[0-9]+$')
                    ) as part_count,
                    (
                        select posted.amount
                        from posted
                        where posted.key = invoices.payment_key
                    ) as first_amount,
                    (
                        select coalesce(sum(posted.amount), 0)
                        from posted
                        where posted.key = invoices.payment_key || '/overpayment'
                    ) as overpaid_amount,
                    (
                        select coalesce(sum(others.amount), 0)
                        from others
                        where others.position = invoices.position
                    ) as other_amount,
                    (
                        select coalesce(sum(liabilities.amount), 0)
                        from liabilities
                        where liabilities.position = invoices.position
                    ) as liability_amount,
                    (
                        select coalesce(sum(liabilities.amount), 0)
                        from liabilities
                        where
                            liabilities.position = invoices.position
                            and not liabilities.is_posted
                            and exists (
                                select 1
                                from others
                                where others.position = liabilities.position and others.amount = liabilities.amount
                            )
                    ) as matched_amount
            ) as sums
            cross join lateral (
                select
                    case
                        when invoices.status is distinct from 'paid' and not invoices.is_void then 0
                        else invoices.cash_amount - coalesce(shares.amount, 0) - sums.overpaid_amount
                    end as amount
            ) as wanted
        ) as judged
    )

    select
        cash.order_number,
        cash.ordered_at,
        cash.re_date,
        cash.locked_until,
        'payment'::text as flow,
        'cash'::text as kind,
        part.key,
        cash.key as parent_key,
        cash.position,
        cash.to_connection,
        cash.contact_key,
        case
            when cash.skip is not null then cash.skip
            when cash.settlement = 'none' then 'no gateway: ' || cash.payment_method || ' is paid outside the shop'
            when cash.settlement = 'zero' or cash.cash_amount = 0 then 'nothing to pay'
            when cash.deposit_amount > 0 and cash.wanted_amount <= 0 then 'paid by the deposit'
            when part.amount <= 0 and cash.other_amount > 0 then 'settled in Xero by others'
        end as skip,
        null::text as hold,
        case
            when cash.is_deleted then 'the invoice was deleted in the shop'
            when cash.is_void then 'the invoice was cancelled in the shop'
        end as gone,
        cash.payment_method,
        cash.has_method,
        cash.settlement,
        cash.settlement_account_code,
        cash.settles_in,
        part.amount,
        case part.amount
            when cash.cash_amount then cash.base_cash_amount
            else round(cash.base_cash_amount * part.amount / nullif(cash.cash_amount, 0), 2)
        end as base_amount,
        cash.currency_code,
        cash.currency_rate,
        cash.ledger_base_currency_code,
        cash.shop_base_currency_code,
        cash.document_date,
        cash.ledger_date,
        cash.transaction_id,
        {{ not_a_document }}
    from cash
    cross join lateral (
        -- What is missing of it comes first to the part that bears the invoice's own key, when that was taken out again.
        select
            cash.payment_key as key,
            coalesce(cash.first_amount, cash.amount - cash.posted_amount) as amount
        where cash.part_count = 0 or cash.first_amount is not null or cash.amount > cash.posted_amount
        union all
        select
            posted.key,
            posted.amount
        from posted
        where posted.key ~ ('^' || {{ literal_pattern('cash.payment_key') }} || '/[0-9]+$')
        union all
        -- The first number that no part has, whichever were taken out again.
        select
            cash.payment_key || '/' || (
                select min(free.number)
                from generate_series(2, cash.part_count + 1) as free (number)
                where not exists (select 1 from posted where posted.key = cash.payment_key || '/' || free.number)
            ) as key,
            cash.amount - cash.posted_amount as amount
        where cash.first_amount is not null and cash.amount > cash.posted_amount and not cash.is_void
    ) as part
    where cash.status in ('paid', 'cancelled')

    union all

    select
        liabilities.order_number,
        liabilities.ordered_at,
        liabilities.re_date,
        liabilities.locked_until,
        'payment'::text as flow,
        liabilities.kind,
        liabilities.movement_key as key,
        liabilities.key as parent_key,
        liabilities.position,
        liabilities.to_connection,
        liabilities.contact_key,
        liabilities.skip,
        case
            when not liabilities.is_posted and cash.open_amount < 0
                then
                    'others have settled the invoice in Xero, so that ' || (-cash.open_amount) || ' ' || liabilities.currency_code
                    || ' of gift cards, store credit or points no longer fit: remove their payment, or refuse this one'
        end as hold,
        case
            when liabilities.is_deleted then 'the invoice was deleted in the shop'
            when liabilities.is_void then 'the invoice was cancelled in the shop'
        end as gone,
        liabilities.method as payment_method,
        method.method is not null as has_method,
        method.settlement,
        method.account as settlement_account_code,
        'document'::text as settles_in,
        liabilities.amount,
        liabilities.base_amount,
        liabilities.currency_code,
        liabilities.currency_rate,
        liabilities.ledger_base_currency_code,
        liabilities.shop_base_currency_code,
        liabilities.document_date,
        liabilities.ledger_date,
        null::text as transaction_id,
        {{ not_a_document }}
    from liabilities
    inner join cash on liabilities.position = cash.position
    left join lateral (
        {{ method_in_force('driver.connection', 'liabilities.method', 'liabilities.document_date') }}
    ) as method on true

    union all

    -- What the payment has more than the invoice has open.
    select
        cash.order_number,
        cash.ordered_at,
        cash.re_date,
        cash.locked_until,
        'overpayment'::text as flow,
        'cash'::text as kind,
        cash.payment_key || '/overpayment' as key,
        cash.key as parent_key,
        cash.position,
        cash.to_connection,
        cash.contact_key,
        case
            when cash.skip is not null then cash.skip
            when cash.settlement = 'none' then 'no gateway: ' || cash.payment_method || ' is paid outside the shop'
            when cash.settlement = 'zero' then 'nothing to pay'
        end as skip,
        case
            when cash.overpayments = 'hold' and cash.overpaid_amount = 0
                then
                    rest.amount || ' ' || cash.currency_code || ' were paid in the shop beyond what the invoice has open in Xero ('
                    || cash.other_amount || ' are settled by others): refund or keep? Approve to keep it as an overpayment'
        end as hold,
        case
            when cash.is_deleted then 'the invoice was deleted in the shop'
            when cash.is_void then 'the invoice was cancelled in the shop'
        end as gone,
        cash.payment_method,
        cash.has_method,
        cash.settlement,
        cash.deposit_account_code as settlement_account_code,
        cash.settles_in,
        rest.amount,
        round(cash.base_cash_amount * rest.amount / nullif(cash.cash_amount, 0), 2) as base_amount,
        cash.currency_code,
        cash.currency_rate,
        cash.ledger_base_currency_code,
        cash.shop_base_currency_code,
        cash.document_date,
        cash.ledger_date,
        cash.transaction_id,
        {{ not_a_document }}
    from cash
    cross join lateral (
        select
            case when cash.overpaid_amount > 0 then cash.overpaid_amount else cash.wanted_amount - cash.amount end as amount
    ) as rest
    where cash.status in ('paid', 'cancelled') and cash.target_id is not null and rest.amount > 0

    union all

    -- What an invoice has open for a credit note.
    select
        cash.order_number,
        cash.ordered_at,
        cash.re_date,
        cash.locked_until,
        'open'::text as flow,
        'cash'::text as kind,
        cash.payment_key || '/open' as key,
        cash.key as parent_key,
        cash.position,
        cash.to_connection,
        cash.contact_key,
        cash.skip,
        null::text as hold,
        null::text as gone,
        cash.payment_method,
        cash.has_method,
        cash.settlement,
        null::text as settlement_account_code,
        cash.settles_in,
        case
            -- Nobody knows whether money moved.
            when not cash.has_method then 0
            when cash.settlement in ('gateway', 'liability', 'zero') and cash.status = 'paid' then 0
            else
                greatest(
                    cash.total_amount - cash.gift_card_amount - cash.store_credit_amount - cash.reward_amount
                    - cash.deposit_amount - cash.other_amount,
                    0
                )
        end as amount,
        null::numeric as base_amount,
        cash.currency_code,
        cash.currency_rate,
        cash.ledger_base_currency_code,
        cash.shop_base_currency_code,
        cash.document_date,
        cash.ledger_date,
        cash.transaction_id,
        cash.document_id,
        cash.document_at
    from cash
    where not cash.is_void
) as money
