-- Only what the order says of the taxes on shipping and wrapping, for those who need no more of it.
select
    source.connection,
    source.id as order_id,
    applied.shipping_tax_code,
    applied.shipping_tax_percent,
    applied.gift_wrap_tax_code,
    applied.gift_wrap_tax_percent
from {{ source('staging', 'magento__orders') }} as source
left join {{ order_taxes("source.payload #> '{extension_attributes,item_applied_taxes}'") }} as applied on true
