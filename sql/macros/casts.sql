{#-
Casts that never fail. Staging models take every field as text (jsonb_to_record gives the text of whatever is there, also of
an object or a list) and cast it here: a bad value gives null, and the macros of problems.sql name it.
-#}

{#- A number, exact, without scale. Infinity, NaN, blank and text give null. -#}
{% macro number(value) -%}
    case when {{ value }} ~ '{{ number_pattern() }}' then ({{ value }})::numeric end
{%- endmacro %}

{% macro number_pattern() -%}
    ^\s*[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]{1,2})?\s*$
{%- endmacro %}

{#- A number, 0 where the field is absent: Magento leaves fields out until they are first used. A bad value stays null. -#}
{% macro number_or_zero(value) -%}
    case when {{ value }} is null then 0 when {{ value }} ~ '{{ number_pattern() }}' then ({{ value }})::numeric end
{%- endmacro %}

{#- A whole number: 3 and 3.0, not 1.5. -#}
{% macro whole_number(value) -%}
    case when {{ value }} ~ '{{ whole_number_pattern() }}' then ({{ value }})::numeric::bigint end
{%- endmacro %}

{% macro whole_number_pattern() -%}
    ^\s*[-+]?[0-9]{1,18}(\.0*)?\s*$
{%- endmacro %}

{#- true, false, 1 and 0 as Magento and Xero write them. -#}
{% macro yes_or_no(value) -%}
    case when lower({{ value }}) in ('1', 'true') then true when lower({{ value }}) in ('0', 'false') then false end
{%- endmacro %}

{#- A time without a zone that the source means as UTC ('2026-11-20 23:51:17'): timestamptz. -#}
{% macro utc(value) -%}
    case
        when
            {{ value }} ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9:.]+)?$' and pg_input_is_valid({{ value }}, 'timestamp')
            then ({{ value }})::timestamp at time zone 'UTC'
    end
{%- endmacro %}

{#- Xero's '/Date(1767225600000+0000)/' (milliseconds, always UTC) or its ISO twin: timestamptz. -#}
{% macro xero_time(value) -%}
    case
        when {{ value }} ~ '^/Date\(-?[0-9]{1,15}([-+][0-9]{4})?\)/$'
            then to_timestamp(substring({{ value }}, '-?[0-9]+')::numeric / 1000)
        when
            {{ value }} ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9:.]+)?$' and pg_input_is_valid({{ value }}, 'timestamp')
            then ({{ value }})::timestamp at time zone 'UTC'
    end
{%- endmacro %}

{#- A business date of Xero: the organisation's calendar date, written as UTC midnight. Never converted by zone. -#}
{% macro xero_date(value) -%}
    (({{ xero_time(value) }}) at time zone 'UTC')::date
{%- endmacro %}

{#- The calendar date of an instant in a zone named as in 'Europe/London'; null when there is no such zone. -#}
{% macro business_date(instant, zone) -%}
    case
        when
            ({{ zone }} in ('UTC', 'GMT') or {{ zone }} ~ '^[A-Za-z_]+(/[A-Za-z0-9_+-]+)+$')
            and pg_input_is_valid('2000-01-01 00:00:00 ' || {{ zone }}, 'timestamptz')
            then ({{ instant }} at time zone {{ zone }})::date
    end
{%- endmacro %}

{#- The elements of a list; of anything else none, and `bad_lists` says so. Use it inside jsonb_array_elements. -#}
{% macro list_of(value) -%}
    case when jsonb_typeof({{ value }}) = 'array' then {{ value }} else '[]'::jsonb end
{%- endmacro %}

{#- An object; of anything else an empty one. Use it inside jsonb_to_record. -#}
{% macro object_of(value) -%}
    case when jsonb_typeof({{ value }}) = 'object' then {{ value }} else '{}'::jsonb end
{%- endmacro %}
