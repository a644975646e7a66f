{#- Rows that share what must tell them apart. -#}
{% test unique_combination(model, columns) %}
select
    {% for column in columns %}{{ adapter.quote(column) }}, {% endfor %}
    count(*) as copies
from {{ model }}
group by {% for column in columns %}{{ adapter.quote(column) }}{{ ", " if not loop.last }}{% endfor %}
having count(*) > 1
{% endtest %}
