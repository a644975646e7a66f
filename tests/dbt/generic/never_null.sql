{#- Rows that lack a value which they must have. -#}
{% test never_null(model, columns) %}
select *
from {{ model }}
where
    {% for column in columns %}{{ "or " if not loop.first }}{{ adapter.quote(column) }} is null
    {% endfor %}
{% endtest %}
