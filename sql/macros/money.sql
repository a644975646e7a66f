{#- What Xero has from us already for an order, at the amount that was agreed: `driver` is the alias of the order. -#}
{% macro posted_money(driver) -%}
select
    links.key,
    links.target_id,
    coalesce(
        {{ number("(links.said ->> 'Amount')") }}, {{ number("(links.said #>> '{LineItems,0,UnitAmount}')") }}
    ) as amount
from {{ source('engine', 'links') }} as links
where
    links.model in ('out_xero__payments', 'out_xero__deposits', 'out_xero__overpayments')
    and links.source_connection = {{ driver }}.connection
    and links.source_id = {{ driver }}.order_id
    and links.target_id is not null
    and not links.is_gone
{%- endmacro %}

{#-
What of the deposits each invoice uses up, from the CTEs `invoices` and `posted`. They are used up by the invoices in their
order, before any other money: modules differ in whether a later invoice counts the deposit in total_paid once more, so that
cannot decide.
-#}
{% macro deposit_shares() -%}
select
    billed.position,
    greatest(least(billed.deposit_amount - billed.before_amount, billed.cash_amount), 0) as amount
from (
    select
        invoices.position,
        invoices.cash_amount,
        coalesce(
            sum(invoices.cash_amount) over (
                order by invoices.position
                rows between unbounded preceding and 1 preceding
            ),
            0
        ) as before_amount,
        received.amount as deposit_amount
    from invoices
    cross join (
        select coalesce(sum(posted.amount), 0) as amount
        from posted
        where posted.key ~ '/deposit/[0-9]+$'
    ) as received
    where not invoices.is_void
) as billed
{%- endmacro %}
