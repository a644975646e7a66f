{#- A layer's schema while a set is built: <target schema>__<layer>. `tieout build` renames it when the set is complete. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {%- if custom_schema_name is none -%}
        {{ target.schema }}
    {%- else -%}
        {{ target.schema }}__{{ custom_schema_name | trim }}
    {%- endif -%}
{%- endmacro %}
