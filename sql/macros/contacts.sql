{#-
The fields of a Xero contact from one row that has first_name, last_name, company_name, email, vat_number, street, city,
region, postcode, country_code, telephone and contact_key.
Xero squeezes spaces and refuses < and > in names, so they are cleaned here and the comparison stays quiet.
-#}
{% macro contact_name(row) -%}
    coalesce(
        {{ clean_name(row ~ '.company_name') }},
        {{ clean_name("concat_ws(' ', " ~ row ~ ".first_name, " ~ row ~ ".last_name)") }},
        {{ row }}.email
    )
{%- endmacro %}

{% macro clean_name(value) -%}
    nullif(trim(regexp_replace(translate({{ value }}, '<>', '()'), '\s+', ' ', 'g')), '')
{%- endmacro %}

{#- Our key, or its hash: Xero takes 50 characters. -#}
{% macro contact_number(row) -%}
    case
        when length({{ row }}.contact_key) <= 50 then {{ row }}.contact_key
        else {{ row }}.connection || '/' || md5({{ row }}.contact_key)
    end
{%- endmacro %}

{#-
A company's buyers are its persons: it has no first and last name of its own. `owned` is the alias of a linked contact's row
of int_owned_fields: what the ledger owns is not sent.
-#}
{% macro contact_fields(row, is_company=false, owned=none) -%}
    {{ unless_of_ledger('name', owned, contact_name(row)) }} as "Name",
    {{ contact_number(row) }} as "ContactNumber",
    {% if not is_company -%}
    {{ unless_of_ledger('name', owned, clean_name(row ~ '.first_name')) }} as "FirstName",
    {{ unless_of_ledger('name', owned, clean_name(row ~ '.last_name')) }} as "LastName",
    {% endif -%}
    {{ unless_of_ledger('email', owned, row ~ '.email') }} as "EmailAddress",
    {{ unless_of_ledger('vat_number', owned, 'left(' ~ row ~ '.vat_number, 50)') }} as "TaxNumber",
    case
        when {{ row }}.country_code is not null{{ '' if owned is none else ' and not ' ~ of_ledger_alone('address', owned) }}
            then
                jsonb_build_array(
                    jsonb_strip_nulls(
                        jsonb_build_object(
                            'AddressType', 'STREET',
                            'AddressLine1', nullif(left({{ row }}.street ->> 0, 500), ''),
                            'AddressLine2', nullif(left({{ row }}.street ->> 1, 500), ''),
                            'AddressLine3', nullif(left({{ row }}.street ->> 2, 500), ''),
                            'City', nullif(left({{ row }}.city, 255), ''),
                            'Region', nullif(left({{ row }}.region, 255), ''),
                            'PostalCode', nullif(left({{ row }}.postcode, 50), ''),
                            'Country', nullif(left({{ row }}.country_code, 50), '')
                        )
                    )
                )
    end as "Addresses",
    case
        when nullif(trim({{ row }}.telephone), '') is not null{{ '' if owned is none else ' and not ' ~ of_ledger_alone('phone', owned) }}
            then
                jsonb_build_array(
                    jsonb_build_object('PhoneType', 'DEFAULT', 'PhoneNumber', left(trim({{ row }}.telephone), 50))
                )
    end as "Phones"
{%- endmacro %}

{#- `archived`: alias with the name of an archived contact that would be matched, null when there is none. -#}
{% macro contact_problems(row, archived) -%}
    {{ problems([
        row ~ '._problems',
        "case when length(" ~ contact_name(row) ~ ") > 255 then "
        ~ problem("'Name'", contact_name(row), "'The name has ' || length(" ~ contact_name(row) ~ ") || ' characters; Xero takes 255'",
                  "'Shorten the name of the customer in the shop'", "'shop'", "'name too long'") ~ " end",
        "case when " ~ row ~ ".email is null then "
        ~ problem("'EmailAddress'", "null::text", "'The customer has no e-mail'",
                  "'Enter an e-mail for the customer in the shop'", "'shop'", "'e-mail missing'") ~ " end",
        "case when " ~ row ~ ".email !~ '^[^@[:space:]]+@[^@[:space:]]+[.][^@[:space:]]+$' or length(" ~ row ~ ".email) > 255 then "
        ~ problem("'EmailAddress'", row ~ ".email", "'The e-mail ' || left(" ~ row ~ ".email, 80) || ' is not an address'",
                  "'Correct the e-mail in the shop'", "'shop'", "'e-mail invalid'") ~ " end",
        "case when " ~ archived ~ ".name is not null then "
        ~ problem("'Contact'", archived ~ ".name", "'The contact ' || " ~ archived ~ ".name || ' with this number or e-mail is archived in Xero'",
                  "'Restore the contact in Xero (Contacts, Archived, Restore)'", "'accountant'", "'contact archived'") ~ " end",
    ]) }}
{%- endmacro %}
