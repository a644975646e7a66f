{#-
The date on which a document is posted. One that is dated in a locked period goes to the first open day when its route says
`re_date: next_open_day`, or `draft`, which also leaves its approval to an accountant. `said` is the date under which the target has it already, null when it has it not: a document that
is posted never moves because a lock date moved later.
-#}
{% macro posting_date(day, re_date, locked_until, said) -%}
    -- What was said counts, else the first open day.
    coalesce({{ said }}, case
        when {{ re_date }} in ('next_open_day', 'draft') and {{ day }} <= {{ locked_until }} then {{ locked_until }} + 1
        else {{ day }}
    end)
{%- endmacro %}

{#-
The status of a document: a draft where its route leaves the approval of late documents to an accountant, until one approved it.
`row` has re_date, posting_date and document_date; `held_as` is its status in the target.
-#}
{% macro posting_status(row, held_as) -%}
    case
        when
            {{ row }}.re_date = 'draft'
            and {{ row }}.posting_date <> {{ row }}.document_date
            and coalesce({{ held_as }}, 'DRAFT') not in ('AUTHORISED', 'PAID')
            then 'DRAFT'
        else 'AUTHORISED'
    end
{%- endmacro %}

{#-
The same for money, as a lateral subquery with `posting_date`: `row` has connection, key, to_connection, re_date and
locked_until. Payments are never edited, so one that was posted later than it happened keeps that date; where a person's own
payment stands for ours, `said` has its date in Xero's form.
-#}
{% macro payment_dated(row, entity='payments', day='ledger_date') -%}
    lateral (
        select {{ posting_date(row ~ '.' ~ day, row ~ '.re_date', row ~ '.locked_until', 'posted.said_date') }} as posting_date
        from (
            select
                greatest(
                    max({{ xero_date("(link.said ->> 'Date')") }}) filter (where link.target_id is not null and not link.is_gone),
                    {{ row }}.{{ day }}
                ) as said_date
            from {{ source('engine', 'links') }} as link
            where
                link.connection = {{ row }}.to_connection
                and link.entity = '{{ entity }}'
                and link.key = {{ row }}.key
            having max(link.said ->> 'Date') filter (where link.target_id is not null and not link.is_gone) is not null
        ) as posted
        right join (values (true)) as always (is_true) on always.is_true
    )
{%- endmacro %}
