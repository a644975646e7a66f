{#-
A reference to a row of another outbound model of the same target, as a value inside a jsonb column. The engine puts the
target's id (or the field named by `give` of what the target returned) in its place; the entry waits until it exists,
with `settled=true` until it has no open entry either. `key` is an SQL expression; null gives null.
-#}
{% macro linked(entity, key, settled=false, give='id') -%}
    case
        when {{ key }} is not null
            then
                jsonb_build_object(
                    '$linked',
                    jsonb_build_object(
                        'entity', '{{ entity }}', 'key', {{ key }}, 'settled', {{ settled | lower }}, 'give', '{{ give }}'
                    )
                )
    end
{%- endmacro %}

{#- An element of `_after`: this row must be linked first although no field refers to it. -#}
{% macro after(entity, key, settled=false) -%}
    jsonb_build_object('entity', '{{ entity }}', 'key', {{ key }}, 'settled', {{ settled | lower }})
{%- endmacro %}

{#- A field that is to be emptied in the target when there is no value; null alone would mean "not ours". -#}
{% macro or_cleared(value) -%}
    coalesce(to_jsonb({{ value }}), '{"$cleared": true}'::jsonb)
{%- endmacro %}

{#- True when a lookup row is in force on a date. valid_from and valid_to are texts (YYYY-MM-DD, both inclusive, empty: always). -#}
{% macro in_force(lookup, day) -%}
    to_char({{ day }}, 'YYYY-MM-DD') between coalesce(nullif({{ lookup }}.valid_from, ''), '0001-01-01')
    and coalesce(nullif({{ lookup }}.valid_to, ''), '9999-12-31')
{%- endmacro %}

{#- A cell that is empty or '*' fits anything; else it is compared without regard to letter case. -#}
{% macro fits(cell, value) -%}
    (coalesce(nullif({{ cell }}, ''), '*') = '*' or lower({{ cell }}) = lower({{ value }}))
{%- endmacro %}

{#- 1 when a cell names something, 0 when it fits anything: the row that names more wins. -#}
{% macro names(cell) -%}
    (coalesce(nullif({{ cell }}, ''), '*') <> '*')::int
{%- endmacro %}

{#- The row of payment_methods that is in force for a method on a day, as a subquery of at most one row. -#}
{% macro method_in_force(connection, method, day) -%}
    select payment_methods.*
    from {{ ref('payment_methods') }} as payment_methods
    where
        payment_methods.connection = {{ connection }}
        and lower(payment_methods.method) = lower({{ method }})
        and {{ in_force('payment_methods', day) }}
    order by payment_methods.valid_from desc nulls last, payment_methods.account
    limit 1
{%- endmacro %}

{#- A text as a part of a regular expression that matches just that text. -#}
{% macro literal_pattern(value) -%}
    regexp_replace({{ value }}, '([^[:alnum:]/_-])', '\\\1', 'g')
{%- endmacro %}

{#-
What never changes about an order: a shop that was restored from a backup may give another order the same number, and its
documents would be taken for changes of the old ones. E-mail and address may be corrected, so they are no part of it.
-#}
{% macro order_identity(relation) -%}
    case
        when {{ relation }}.ordered_at is not null and {{ relation }}.order_number is not null
            then
                jsonb_build_object(
                    'order_number', {{ relation }}.order_number, 'ordered_at', {{ relation }}.ordered_at
                )
    end
{%- endmacro %}

{#- The row of line_accounts that is in force for a kind of line on a day, as a subquery of at most one row. -#}
{% macro line_account_in_force(connection, kind, day) -%}
    select line_accounts.account
    from {{ ref('line_accounts') }} as line_accounts
    where
        line_accounts.connection = {{ connection }}
        and line_accounts.line_kind = '{{ kind }}'
        and {{ in_force('line_accounts', day) }}
    order by line_accounts.valid_from desc nulls last, line_accounts.account
    limit 1
{%- endmacro %}
