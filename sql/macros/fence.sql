{#-
The value of the first row by an order, as an aggregate: `left join lateral (select {{ first('x.a', 'x.b') }} as a from …) on true`
gives one row always, so Postgres leaves the whole join out of the plan of whoever does not read `a`; `limit 1` it must keep.
-#}
{% macro first(value, order) -%}
    (array_agg({{ value }} order by {{ order }}))[1]
{%- endmacro %}

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

{#-
The link of one key, as a lateral subquery: fenced, and without any other condition, so that only the index on the key serves.
Where nothing is known of the tables the planner would else take one that reads all links of the connection.
-#}
{% macro link_of(connection, entity, key) -%}
    lateral (
        select link.*
        from {{ source('engine', 'links') }} as link
        where
            link.connection = {{ connection }}
            and link.entity = '{{ entity }}'
            and link.key = {{ key }}
        limit 1
    )
{%- endmacro %}
