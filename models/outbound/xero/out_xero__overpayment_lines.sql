select
    overpayments.connection as _source_connection,
    overpayments.order_id as _source_id,
    overpayments.key as _key,
    'money'::text as _line,
    1 as _line_order,
    null::jsonb as _problems,
    'Overpayment of order ' || overpayments.order_number as "Description",
    1::numeric as "Quantity",
    overpayments.amount as "UnitAmount"
from {{ ref('int_order_money') }} as overpayments
where overpayments.flow = 'overpayment'
