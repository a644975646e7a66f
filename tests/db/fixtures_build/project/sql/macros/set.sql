{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ target.schema }}__{{ custom_schema_name }}
{%- endmacro %}

{% macro linked(entity, key, settled=false, give='id') -%}
    jsonb_build_object('$linked', jsonb_build_object('entity', '{{ entity }}', 'key', {{ key }}, 'settled', {{ settled }}, 'give', '{{ give }}'))
{%- endmacro %}
