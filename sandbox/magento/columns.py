"""Columns that lists may filter and sort by: those of the entity's own table, or attribute codes.

Source: `etc/db_schema.xml` of the Sales, Catalog, Customer, Tax and Inventory modules.
"""

from __future__ import annotations


def names(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


def _with_base(text: str) -> frozenset[str]:
    plain = names(text)
    return plain | {f"base_{name}" for name in plain}


_RATES = names(
    "base_currency_code global_currency_code order_currency_code store_currency_code "
    "base_to_global_rate base_to_order_rate store_to_base_rate store_to_order_rate"
)

ORDERS = (
    _with_base(
        "adjustment_negative adjustment_positive discount_amount discount_canceled discount_invoiced "
        "discount_refunded grand_total shipping_amount shipping_canceled shipping_invoiced "
        "shipping_refunded shipping_tax_amount shipping_tax_refunded shipping_discount_amount "
        "shipping_incl_tax subtotal subtotal_canceled subtotal_incl_tax subtotal_invoiced "
        "subtotal_refunded tax_amount tax_canceled tax_invoiced tax_refunded total_canceled total_due "
        "total_invoiced total_offline_refunded total_online_refunded total_paid total_refunded "
        "discount_tax_compensation_amount discount_tax_compensation_invoiced "
        "discount_tax_compensation_refunded"
    )
    | _RATES
    | names(
        "entity_id state status coupon_code protect_code shipping_description is_virtual store_id "
        "customer_id shipping_discount_tax_compensation_amount "
        "base_shipping_discount_tax_compensation_amnt total_qty_ordered can_ship_partially "
        "can_ship_partially_item customer_is_guest customer_note_notify billing_address_id "
        "customer_group_id edit_increment email_sent send_email forced_shipment_with_invoice "
        "payment_auth_expiration quote_address_id quote_id shipping_address_id weight customer_dob "
        "increment_id applied_rule_ids customer_email customer_firstname customer_lastname "
        "customer_middlename customer_prefix customer_suffix customer_taxvat discount_description "
        "ext_customer_id ext_order_id hold_before_state hold_before_status original_increment_id "
        "relation_child_id relation_child_real_id relation_parent_id relation_parent_real_id "
        "remote_ip shipping_method store_name x_forwarded_for customer_note created_at updated_at "
        "total_item_count customer_gender coupon_rule_name base_total_invoiced_cost total_qty_ordered"
    )
)
ORDER_ITEMS = _with_base(
    "amount_refunded discount_amount discount_invoiced discount_refunded "
    "discount_tax_compensation_amount discount_tax_compensation_invoiced "
    "discount_tax_compensation_refunded original_price price price_incl_tax row_invoiced row_total "
    "row_total_incl_tax tax_amount tax_invoiced tax_refunded tax_before_discount"
) | names(
    "item_id order_id parent_item_id quote_item_id store_id created_at updated_at product_id "
    "product_type product_options weight is_virtual sku name description applied_rule_ids "
    "additional_data is_qty_decimal no_discount qty_backordered qty_canceled qty_invoiced qty_ordered "
    "qty_refunded qty_shipped base_cost tax_percent discount_percent row_weight ext_order_item_id "
    "locked_do_invoice locked_do_ship tax_canceled free_shipping discount_tax_compensation_canceled"
)
_DOCUMENTS = (
    _with_base(
        "grand_total shipping_tax_amount tax_amount shipping_amount discount_amount subtotal "
        "subtotal_incl_tax shipping_incl_tax discount_tax_compensation_amount"
    )
    | _RATES
    | names(
        "entity_id store_id order_id email_sent send_email state shipping_address_id "
        "billing_address_id transaction_id increment_id created_at updated_at discount_description "
        "shipping_discount_tax_compensation_amount base_shipping_discount_tax_compensation_amnt "
        "customer_note customer_note_notify"
    )
)
INVOICES = _DOCUMENTS | names("total_qty is_used_for_refund can_void_flag base_total_refunded")
CREDITMEMOS = _DOCUMENTS | names(
    "adjustment adjustment_positive adjustment_negative base_adjustment base_adjustment_positive "
    "base_adjustment_negative creditmemo_status invoice_id"
)
SHIPMENTS = names(
    "entity_id store_id total_weight total_qty email_sent send_email order_id customer_id "
    "shipping_address_id billing_address_id shipment_status increment_id created_at updated_at "
    "packages shipping_label customer_note"
)
TRANSACTIONS = names(
    "transaction_id parent_id order_id payment_id txn_id parent_txn_id txn_type is_closed created_at"
)
COMMENTS = names(
    "entity_id parent_id is_customer_notified is_visible_on_front comment status created_at entity_name"
)
PRODUCTS = names(
    "entity_id sku name price special_price special_from_date special_to_date cost status visibility "
    "type_id attribute_set_id created_at updated_at weight tax_class_id url_key category_id "
    "website_id store store_id description short_description color has_options required_options"
)
CUSTOMERS = names(
    "entity_id email firstname lastname middlename prefix suffix dob gender taxvat group_id store_id "
    "website_id created_at updated_at created_in default_billing default_shipping is_active "
    "confirmation"
)
CATEGORIES = names(
    "entity_id name parent_id is_active position level path include_in_menu created_at updated_at url_key"
)
TAX_CLASSES = names("class_id class_name class_type")
TAX_RATES = names(
    "tax_calculation_rate_id id code rate tax_country_id tax_region_id tax_postcode zip_is_range"
)
TAX_RULES = names("tax_calculation_rule_id id code priority position calculate_subtotal")
CUSTOMER_GROUPS = names("customer_group_id id code tax_class_id")
SOURCE_ITEMS = names("source_item_id source_code sku quantity status")
SOURCES = names("source_code name enabled country_id postcode")
STOCKS = names("stock_id name")
STOCK_SOURCE_LINKS = names("stock_id source_code priority")
OPERATIONS = names("id bulk_uuid topic_name status result_message error_code")
