{#- Rows whose parts do not add up to their total, to the cent. -#}
{% test sums_agree(model, sum_of, total) %}
select *
from {{ model }}
where {% for column in sum_of %}{{ adapter.quote(column) }}{{ " + " if not loop.last }}{% endfor %} <> {{ adapter.quote(total) }}
{% endtest %}
