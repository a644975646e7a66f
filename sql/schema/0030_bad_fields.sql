-- additive
-- What models say of the fields of a record that do not hold what they should: called only when a field is bad.
create function staging.bad_fields(names text[], held text[], pattern text, reason text, cause text) returns jsonb
language sql
immutable parallel safe
as $$
    select
        jsonb_agg(
            jsonb_build_object(
                'field', checked.field,
                'value', left(checked.value, 200),
                'reason', checked.field || ' ' || bad_fields.reason || ': ' || left(checked.value, 60),
                'cure', 'Correct the field in the source system',
                'who', 'shop',
                'cause', bad_fields.cause
            )
        )
    from unnest(bad_fields.names, bad_fields.held) as checked (field, value)
    where checked.value is not null and checked.value !~ bad_fields.pattern
$$;

comment on function staging.bad_fields (text[], text[], text, text, text) is 'The problems of those fields whose text does not match the pattern';
