select
    source.connection,
    source.id as order_id,
    source.deleted_at,
    {{ number_or_zero('record.total_paid') }} as paid_amount,
    {{ number_or_zero('record.base_total_paid') }} as base_paid_amount,
    {{ number_or_zero('balance.gift_cards_amount') }} as gift_card_amount,
    {{ number_or_zero('balance.base_gift_cards_amount') }} as base_gift_card_amount,
    {{ number_or_zero('balance.customer_balance_amount') }} as store_credit_amount,
    {{ number_or_zero('balance.base_customer_balance_amount') }} as base_store_credit_amount,
    {{ number_or_zero('balance.reward_currency_amount') }} as reward_amount,
    {{ number_or_zero('balance.base_reward_currency_amount') }} as base_reward_amount,
    {{ number_or_zero('balance.customer_balance_total_refunded') }} as store_credit_given_amount,
    {{ number_or_zero('balance.base_customer_balance_total_refunded') }} as base_store_credit_given_amount,
    record.transaction_id,
    {{ problems([
        bad_numbers('record', ['total_paid', 'base_total_paid']),
        bad_numbers('balance', [
            'gift_cards_amount', 'base_gift_cards_amount', 'customer_balance_amount', 'base_customer_balance_amount',
            'reward_currency_amount', 'base_reward_currency_amount', 'customer_balance_total_refunded',
            'base_customer_balance_total_refunded',
        ]),
    ]) }} as _problems
from {{ source('staging', 'magento__orders') }} as source
cross join lateral (
    select
        source.payload ->> 'total_paid' as total_paid,
        source.payload ->> 'base_total_paid' as base_total_paid,
        source.payload #>> '{payment,last_trans_id}' as transaction_id
) as record
cross join lateral jsonb_to_record({{ object_of("(source.payload -> 'extension_attributes')") }}) as balance (
    gift_cards_amount text,
    base_gift_cards_amount text,
    customer_balance_amount text,
    base_customer_balance_amount text,
    reward_currency_amount text,
    base_reward_currency_amount text,
    customer_balance_total_refunded text,
    base_customer_balance_total_refunded text
)
