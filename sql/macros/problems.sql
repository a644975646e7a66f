{#-
`_problems`: null, or a list of {"field", "value", "reason", "cure", "who", "cause"}. A row that has any is held and told as a
dead letter; `cause` is short and stable, dead letters are grouped by it. `who` is operator, accountant, shop, vendor or analyst.
-#}

{#- One problem; each argument is an SQL expression. -#}
{% macro problem(field, value, reason, cure, who, cause) -%}
    jsonb_build_object(
        'field', {{ field }}, 'value', left({{ value }}, 200), 'reason', {{ reason }}, 'cure', {{ cure }},
        'who', {{ who }}, 'cause', {{ cause }}
    )
{%- endmacro %}

{#- All of them in one list: each argument is a problem, a list of problems or null. -#}
{% macro problems(parts) -%}
    nullif(jsonb_path_query_array(jsonb_build_array({{ parts | join(', ') }}), '$[*][*] ? (@ != null)'), '[]'::jsonb)
{%- endmacro %}

{#-
The fields of a record (alias `record`) that hold a value which is not a number. Nearly always all are good or absent: one look
at all of them tells, and only a list that has a doubtful one is taken apart.
-#}
{% macro bad_numbers(record, fields) -%}
    {{ _bad(record, fields, number_pattern(), '-?[0-9]+([.][0-9]+)?', 'is not a number', 'not a number') }}
{%- endmacro %}

{#- The same for whole numbers: 1.5 is a problem. -#}
{% macro bad_whole_numbers(record, fields) -%}
    {{ _bad(record, fields, whole_number_pattern(), '-?[0-9]{1,18}', 'is not a whole number', 'not a whole number') }}
{%- endmacro %}

{#- `plainly`: a pattern of the usual values, which an array writes as they are; any other value it puts in quotes. -#}
{% macro _bad(record, fields, pattern, plainly, reason, cause) -%}
    {%- set values = [] -%}
    {%- for field in fields -%}{%- do values.append(record ~ '.' ~ field) -%}{%- endfor -%}
    case
        when array[{{ values | join(', ') }}]::text !~ '^\{(({{ plainly }}|NULL)[,}])+$'
            then
                staging.bad_fields(
                    '{ {{- fields | join(',') | replace('"', '') -}} }',
                    array[{{ values | join(', ') }}],
                    '{{ pattern }}',
                    '{{ reason }}',
                    '{{ cause }}'
                )
    end
{%- endmacro %}

{#- A field that must hold a time: absent or unreadable is a problem. `cast` is the cast of casts.sql that reads it. -#}
{% macro bad_time(field, value, cast) -%}
    case
        when ({{ cast }}) is null
            then {{ problem("'" ~ field ~ "'", value, "'" ~ field ~ " is not a time: ' || coalesce(left(" ~ value ~ ", 60), 'absent')",
                            "'Correct the field in the source system'", "'shop'", "'not a time'") }}
    end
{%- endmacro %}

{#- A list that is null, text or an object instead of a list: a problem, not "no lines". -#}
{% macro bad_list(field, value) -%}
    case
        when coalesce(jsonb_typeof({{ value }}), 'absent') <> 'array'
            then {{ problem("'" ~ field ~ "'", value ~ "::text",
                            "'" ~ field ~ " is not a list but ' || coalesce(jsonb_typeof(" ~ value ~ "), 'null or absent')",
                            "'Look at the record in the source system and load it again'", "'operator'", "'not a list'") }}
    end
{%- endmacro %}

{#- What the target's chart of accounts says of the account that a movement of money names, as a lateral subquery. -#}
{% macro payment_ledger(document) -%}
    lateral (
        select
            exists (
                select 1
                from {{ ref('accounts') }} as accounts
                where accounts.connection = {{ document }}.to_connection
            ) as has_accounts,
            (
                select bool_or(accounts.is_active and accounts.takes_payments)
                from {{ ref('accounts') }} as accounts
                where
                    accounts.connection = {{ document }}.to_connection
                    and accounts.code = {{ document }}.settlement_account_code
            ) as takes_payments,
            (
                select bool_or(accounts.is_active and accounts.account_type = 'BANK')
                from {{ ref('accounts') }} as accounts
                where
                    accounts.connection = {{ document }}.to_connection
                    and accounts.code = {{ document }}.settlement_account_code
            ) as is_bank
        offset 0
    )
{%- endmacro %}

{#- The money of a foreign document comes in the ledger's base currency, and the shop says how much. -#}
{% macro settles_in_base(document) -%}
    {{ document }}.settles_in = 'base'
    and {{ document }}.currency_code <> {{ document }}.ledger_base_currency_code
    and {{ document }}.shop_base_currency_code = {{ document }}.ledger_base_currency_code
{%- endmacro %}

{% macro payment_rate(document) -%}
    case when {{ settles_in_base(document) }} then null else {{ document }}.currency_rate end
{%- endmacro %}

{% macro payment_bank_amount(document) -%}
    case when {{ settles_in_base(document) }} then {{ document }}.base_amount end
{%- endmacro %}

{#- What may stand in the way of a payment or refund: method not listed, account missing or not open for payments. -#}
{% macro payment_problems(document) -%}
    {{ problems([
        "case when not " ~ document ~ ".has_method then "
        ~ problem("'payment_method'", document ~ ".payment_method",
                  "'The payment method ' || coalesce(" ~ document ~ ".payment_method, 'absent') || ' is not listed, so nobody knows whether money moved'",
                  "'Add to payment_methods.csv: ' || concat_ws(',', " ~ document ~ ".connection, coalesce(" ~ document ~ ".payment_method, '<method>'), '<gateway|none|zero|liability>', '<clearing account>', '<gateway|person|store_credit>', '0', '', '', 'document')",
                  "'accountant'", "'lookup payment_methods: ' || coalesce(" ~ document ~ ".payment_method, 'absent')") ~ " end",
        "case when " ~ document ~ ".settlement in ('gateway', 'liability') and coalesce(" ~ document ~ ".settlement_account_code, '') = '' then "
        ~ problem("'Account'", document ~ ".payment_method",
                  "'No account is set for the payment method ' || " ~ document ~ ".payment_method",
                  "'Fill in account for ' || " ~ document ~ ".payment_method || ' in payment_methods.csv'",
                  "'accountant'", "'payment method without account'") ~ " end",
        "case when ledger.has_accounts and " ~ document ~ ".settlement in ('gateway', 'liability') and coalesce(" ~ document ~ ".settlement_account_code, '') <> '' and not coalesce(ledger.takes_payments, false) then "
        ~ problem("'Account'", document ~ ".settlement_account_code",
                  "'The account ' || " ~ document ~ ".settlement_account_code || ' does not exist in Xero, is archived or takes no payments'",
                  "'In Xero, make ' || " ~ document ~ ".settlement_account_code || ' a bank account or enable payments to it; or correct payment_methods.csv'",
                  "'accountant'", "'account takes no payments'") ~ " end",
        "case when " ~ document ~ ".settles_in = 'base' and " ~ document ~ ".currency_code <> " ~ document ~ ".ledger_base_currency_code and " ~ document ~ ".shop_base_currency_code <> " ~ document ~ ".ledger_base_currency_code then "
        ~ problem("'BankAmount'", document ~ ".shop_base_currency_code",
                  "'The money comes in ' || " ~ document ~ ".shop_base_currency_code || ', which is neither the currency of the document nor that of the ledger'",
                  "'Set settles_in of ' || " ~ document ~ ".payment_method || ' to document in payment_methods.csv'",
                  "'accountant'", "'settles in a third currency'") ~ " end",
        "case when " ~ document ~ ".ledger_date is null and " ~ document ~ ".document_date is not null then "
        ~ problem("'Date'", "null::text", "'The time zone of the ledger is not readable'",
                  "'Correct time_zone of the route in routes.csv (for example Europe/London)'",
                  "'analyst'", "'time zone unknown'") ~ " end",
    ]) }}
{%- endmacro %}

{#- What may stand in the way of money received without an invoice: the method, the account on the route, the currency. -#}
{% macro bank_problems(document) -%}
    {{ problems([
        "case when not " ~ document ~ ".has_method then "
        ~ problem("'payment_method'", document ~ ".payment_method",
                  "'The payment method ' || coalesce(" ~ document ~ ".payment_method, 'absent') || ' is not listed, so nobody knows whether money moved'",
                  "'Add to payment_methods.csv: ' || concat_ws(',', " ~ document ~ ".connection, coalesce(" ~ document ~ ".payment_method, '<method>'), '<gateway|none|zero|liability>', '<clearing account>', '<gateway|person|store_credit>', '0', '', '', 'document')",
                  "'accountant'", "'lookup payment_methods: ' || coalesce(" ~ document ~ ".payment_method, 'absent')") ~ " end",
        "case when " ~ document ~ ".settlement_account_code is null then "
        ~ problem("'BankAccount'", "null::text", "'No account is set to receive money that has no invoice'",
                  "'Fill in deposit_account of the route in routes.csv'", "'accountant'", "'route without deposit_account'") ~ " end",
        "case when ledger.has_accounts and " ~ document ~ ".settlement_account_code is not null and not coalesce(ledger.is_bank, false) then "
        ~ problem("'BankAccount'", document ~ ".settlement_account_code",
                  "'The account ' || " ~ document ~ ".settlement_account_code || ' does not exist in Xero, is archived or is no bank account'",
                  "'In Xero, make ' || " ~ document ~ ".settlement_account_code || ' an account of type bank; or correct deposit_account in routes.csv'",
                  "'accountant'", "'deposit account is no bank account'") ~ " end",
        "case when " ~ document ~ ".currency_code <> " ~ document ~ ".ledger_base_currency_code then "
        ~ problem("'CurrencyCode'", document ~ ".currency_code",
                  "'Xero takes money in ' || " ~ document ~ ".currency_code || ' without an invoice only on a bank account in that currency'",
                  "'Book it by hand, or let such orders wait (deposits and overpayments on the route)'",
                  "'accountant'", "'deposit in a foreign currency'") ~ " end",
    ]) }}
{%- endmacro %}

{#- A deposit needs an account for its line: `line_account` is the alias that holds it. -#}
{% macro deposit_line_problem(document) -%}
    case
        when line_account.account is null
            then {{ problem("'AccountCode'", "'deposit'", "'No account is set for deposits'",
                            "'Add to line_accounts.csv: ' || concat_ws(',', " ~ document ~ ".connection, 'deposit', '<account>', '', '')",
                            "'accountant'", "'lookup line_accounts: deposit'") }}
    end
{%- endmacro %}
