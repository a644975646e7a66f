"""The entities that tieout writes to Magento, in the order in which they depend on each other.

https://developer.adobe.com/commerce/webapi/rest/quick-reference/, and what was recorded on 2.4.4.
"""

from __future__ import annotations

from cdc.writers import magento_catalogue as catalogue
from cdc.writers import magento_customers as customers
from cdc.writers.magento_comments import OrderComments
from cdc.writers.magento_record import MagentoWrite
from cdc.writing import Write

# Product writes deadlock when two of them meet, prices and quantities among them: one call at a time.
_CATALOGUE = "catalogue"

# fmt: off
WRITES: tuple[Write, ...] = (
    # POST makes, and refuses an e-mail that the website has; PUT merges, but `addresses` is the whole set.
    MagentoWrite(
        entity="customers", stream="customers", natural_key=customers.natural_key, finding=customers.FOUND,
        ask=customers.ask, read=customers.read, mirrored=customers.mirrored, call=customers.call,
        answered=customers.answered, shown=customers.shown, before=customers.before, serial="customers",
    ),

    # POST and PUT both make and change, by sku: so the shop is asked before each create.
    MagentoWrite(
        entity="products", stream="products", natural_key=catalogue.sku_of, finding=catalogue.PRODUCT_FOUND,
        ask=catalogue.ask_products, read=catalogue.read_products, mirrored=catalogue.mirrored_products,
        call=catalogue.call_products, answered=catalogue.answered_product, shown=catalogue.shown_product,
        before=catalogue.before_product, serial=_CATALOGUE, creates_over=True,
    ),

    # Absolute values in lists, the same call for new and old; 200 with a list of what was refused. Lists are
    # short because a shop may take no more than 20 elements (`webapi/validation`).
    MagentoWrite(
        entity="base_prices", stream="products", natural_key=catalogue.sku_of, finding=catalogue.PRICE_FOUND,
        ask=catalogue.ask_products, read=catalogue.read_products, mirrored=catalogue.mirrored_products,
        call=catalogue.call_prices, answered=catalogue.answered_price, shown=catalogue.shown_price,
        before=catalogue.before_price, serial=_CATALOGUE, most=20, sets=True,
    ),
    MagentoWrite(
        entity="source_items", stream="stock_items", natural_key=catalogue.stock_key,
        finding=catalogue.STOCK_FOUND,
        ask=catalogue.ask_stock, read=catalogue.ask_stock, mirrored=catalogue.mirrored_stock,
        call=catalogue.call_stock, answered=catalogue.answered_stock, shown=catalogue.shown_stock,
        before=catalogue.before_stock, serial=_CATALOGUE, most=20, sets=True,
    ),

    # Made once, never changed.
    OrderComments(),
)
# fmt: on
