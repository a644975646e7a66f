{#-
The rows of a heavy model that belong to one driving row, as a lateral subquery: `cross join {{ of_order(ref('x'), 'orders') }}`
gives them the alias `x`. The fence (`offset 0`) keeps Postgres from merging the subquery with what is around it: the key
stays a parameter that reaches an index, so the work grows with the number of drivers whatever the planner guesses, and
each statement is planned in small parts. Postgres computes only the columns that are read. `more` is a further condition.
-#}
{% macro of_order(relation, driver, alias, more=none) -%}
    lateral (
        select {{ alias }}.*
        from {{ relation }} as {{ alias }}
        where
            {{ alias }}.connection = {{ driver }}.connection
            and {{ alias }}.order_id = {{ driver }}.order_id
            {% if more is not none -%}
            and {{ more }}
            {% endif -%}
        offset 0
    ) as {{ alias }}
{%- endmacro %}
