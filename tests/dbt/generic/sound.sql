{#-
All that must hold of each row of one model, in one pass over it: evaluating a model is what a test costs. `wrong` says
what is wrong with a row: a column that must have a value has none, a value is not one of those allowed, amounts do not
add up to their total, several rows share what must tell them apart.
-#}
{% test sound(model, never_null=[], one_row_per=[], one_of={}, sum_of=[], total=none) %}
{%- set columns = never_null + one_row_per + (one_of.keys() | list) + sum_of + ([total] if total is not none else []) %}
select judged.*
from (
    select
        counted.*,
        case
            {% for column in never_null -%}
            when {{ adapter.quote(column) }} is null then '{{ column }} has no value'
            {% endfor -%}
            {% for column, values in one_of.items() -%}
            when {{ adapter.quote(column) }} not in ('{{ values | join("', '") }}')
                then '{{ column }} is none of {{ values | join(", ") }}'
            {% endfor -%}
            {% if total is not none -%}
            when {% for column in sum_of %}{{ adapter.quote(column) }}{{ " + " if not loop.last }}{% endfor %} <> {{ adapter.quote(total) }}
                then '{{ sum_of | join(" + ") }} is not {{ total }}'
            {% endif -%}
            when counted.copies > 1 then 'several rows of one {{ one_row_per | join(", ") }}'
        end as wrong
    from (
        select
            {% for column in columns | unique %}{{ adapter.quote(column) }},
            {% endfor -%}
            {% if one_row_per -%}
            count(*) over (
                partition by {% for column in one_row_per %}{{ adapter.quote(column) }}{{ ", " if not loop.last }}{% endfor %}
            ) as copies
            {%- else -%}
            1 as copies
            {%- endif %}
        from {{ model }}
    ) as counted
) as judged
where judged.wrong is not null
{% endtest %}
