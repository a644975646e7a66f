{#-
A field that both sides have is sent by its owner (lookup field_owners.csv), or by each side when it changes there (owner
`both`). `owned` is the alias of a row of int_owned_fields. A record that the other side does not have yet is made whole, whoever owns what: join `owned` only for
records that are linked, or say so with `new`.
-#}

{#- True when the ledger sends the field. -#}
{% macro of_ledger(field, owned) -%}
    coalesce('{{ field }}' = any({{ owned }}.ledger_fields || {{ owned }}.shared_fields), false)
{%- endmacro %}

{#- True when the ledger alone sends the field. -#}
{% macro of_ledger_alone(field, owned) -%}
    coalesce('{{ field }}' = any({{ owned }}.ledger_fields), false)
{%- endmacro %}

{#- The control column `_both_ways`: the payload's fields that both sides send, from pairs of field and name in the lookup. -#}
{% macro both_ways(pairs, owned) -%}
    case
        when {{ owned }}.shared_fields is not null
            then
                jsonb_path_query_array(
                    jsonb_build_array(
                        {% for field, name in pairs -%}
                        case when '{{ name }}' = any({{ owned }}.shared_fields) then '{{ field }}' end
                        {%- if not loop.last %},{% endif %}
                        {% endfor %}
                    ),
                    '$[*] ? (@ != null)'
                )
    end
{%- endmacro %}

{#- A value that the shop sends to the ledger: null when the field is the ledger's alone. -#}
{% macro unless_of_ledger(field, owned, value) -%}
    {% if owned is none -%} {{ value }} {%- else -%} case when not {{ of_ledger_alone(field, owned) }} then {{ value }} end {%- endif -%}
{%- endmacro %}
