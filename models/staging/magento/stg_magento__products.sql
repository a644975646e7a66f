select
    source.connection,
    source.id as product_id,
    source.sku,
    source.version,
    source.modified_at,
    source.deleted_at,
    record.name,
    record.type_id as product_type,
    {{ number('record.price') }} as price,
    record.status = '1' as is_enabled,
    extension_attributes.category_links,
    record.custom_attributes,
    tax_class.tax_class_id,
    {{ number('costs.cost') }} as cost,
    {{ utc('record.created_at') }} as created_at,
    {{ problems([
        bad_numbers('record', [
            'price',
        ]),
    ]) }} as _problems
from {{ source('staging', 'magento__products') }} as source
cross join lateral jsonb_to_record(source.payload) as record (
    name text,
    type_id text,
    price text,
    status text,
    custom_attributes jsonb,
    created_at text,
    extension_attributes jsonb
)
cross join lateral jsonb_to_record({{ object_of('record.extension_attributes') }}) as extension_attributes (
    category_links jsonb
)
left join lateral (
    select (array_agg(attribute.entry ->> 'value'))[1] as tax_class_id
    from jsonb_array_elements({{ list_of('record.custom_attributes') }}) as attribute (entry)
    where attribute.entry ->> 'attribute_code' = 'tax_class_id'
) as tax_class on true
left join lateral (
    select (array_agg(attribute.entry ->> 'value'))[1] as cost
    from jsonb_array_elements({{ list_of('record.custom_attributes') }}) as attribute (entry)
    where attribute.entry ->> 'attribute_code' = 'cost'
) as costs on true
