{#-
What reward points paid on one document of an order, as a lateral subquery with the columns amount and base_amount; no row
for an order without points, which costs one look at the order.
Magento's REST shows points on the order alone. A document's share is what its parts (`parts`: the columns that add up to
what it is worth) exceed all that it shows as paid, as far as the order's points reach: the first document takes them
first. Points that do not explain the whole gap explain nothing of it, but for cents of rounding: such a gap is told as an
amount that nobody can explain. `documents` is the staging model of the documents and `id` its key; `document` the alias
of the row that asks.
-#}
{% macro reward_share(documents, id, parts, document) -%}
    lateral (
        select
            {% for base in ['', 'base_'] -%}
            case
                when shares.{{ base }}gap_amount - shares.{{ base }}left_amount <= 0.05
                    then greatest(least(shares.{{ base }}gap_amount, shares.{{ base }}left_amount), 0)
                else 0
            end as {{ base }}amount{{ "," if not loop.last }}
            {% endfor %}
        from (
            select
                balances.reward_amount,
                balances.base_reward_amount
            from {{ ref('stg_magento__order_balances') }} as balances
            where
                balances.connection = {{ document }}.connection
                and balances.order_id = {{ document }}.order_id
                and balances.reward_amount > 0
            offset 0
        ) as points
        cross join lateral (
            select
                gaps.document_id,
                {% for base in ['', 'base_'] -%}
                gaps.{{ base }}gap_amount,
                points.{{ base }}reward_amount - coalesce(
                    sum(greatest(gaps.{{ base }}gap_amount, 0)) over (
                        order by length(gaps.document_id), gaps.document_id
                        rows between unbounded preceding and 1 preceding
                    ),
                    0
                ) as {{ base }}left_amount{{ "," if not loop.last }}
                {% endfor %}
            from (
                select
                    others.{{ id }} as document_id,
                    {% for base in ['', 'base_'] -%}
                    round(
                        {% for part in parts %}others.{{ base }}{{ part }}{{ " + " if not loop.last }}{% endfor %}
                        - others.{{ base }}grand_total,
                        2
                    )
                    - others.{{ base }}gift_card_amount - others.{{ base }}store_credit_amount
                        as {{ base }}gap_amount{{ "," if not loop.last }}
                    {% endfor %}
                from {{ documents }} as others
                where
                    others.connection = {{ document }}.connection
                    and others.order_id = {{ document }}.order_id
                    and coalesce(others.state, '') <> 'cancelled'
                    and others.deleted_at is null
            ) as gaps
            offset 0
        ) as shares
        where shares.document_id = {{ document }}.{{ id }}
        offset 0
    )
{%- endmacro %}
