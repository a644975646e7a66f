"""Attributes that a fresh shop's products have, and which of them a store view may override.

A code that is not among them is dropped from a body without a word (`AbstractExtensibleModel::setCustomAttributes` keeps
known codes only). Attributes of global scope are written globally whatever the path's store says: prices too, while
"catalog price scope" is global, its default. Source: `Catalog/Setup`, `Bundle/Setup` and `Tax/Setup` install scripts.
"""

from __future__ import annotations

from sandbox.magento.columns import names

KNOWN = names(
    "category_ids color cost country_of_manufacture custom_design custom_design_from custom_design_to custom_layout "
    "custom_layout_update description gallery gift_message_available has_options image image_label manufacturer "
    "media_gallery meta_description meta_keyword meta_title minimal_price msrp msrp_display_actual_price_type "
    "news_from_date news_to_date options_container page_layout price_type price_view quantity_and_stock_status "
    "required_options shipment_type short_description sku_type small_image small_image_label special_from_date "
    "special_price special_to_date swatch_image tax_class_id thumbnail thumbnail_label tier_price ts_dimensions_height "
    "ts_dimensions_length ts_dimensions_width url_key url_path weight_type"
)
GLOBAL = names(
    "attribute_set_id category_ids color cost has_options manufacturer minimal_price msrp price price_type required_options "
    "shipment_type sku sku_type special_from_date special_price special_to_date tier_price type_id weight "
    "weight_type"
)
LONGEST_SKU = 64
