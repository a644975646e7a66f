{#-
A field that both sides have is sent by its owner alone (lookup field_owners.csv). `owned` is the alias of a row with
`ledger_fields`. A record that the other side does not have yet is made whole, whoever owns what: join `owned` only for
records that are linked, or say so with `new`.
-#}

{#- True when the ledger owns the field. -#}
{% macro of_ledger(field, owned) -%}
    coalesce('{{ field }}' = any({{ owned }}.ledger_fields), false)
{%- endmacro %}

{#- A value that the shop sends to the ledger: null when the field is the ledger's. -#}
{% macro unless_of_ledger(field, owned, value) -%}
    {% if owned is none -%} {{ value }} {%- else -%} case when not {{ of_ledger(field, owned) }} then {{ value }} end {%- endif -%}
{%- endmacro %}
