"""What a stand-in can be told at its start: settings of the shop, and behaviours of other releases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Defaults are those of a fresh Magento Open Source 2.4.4 with the shop of `seed`."""

    integration_as_bearer: bool = False
    """`oauth/consumer/enable_integration_as_bearer`: the access token also works as plain bearer."""
    integration_resources: Sequence[str] | None = None
    """ACL resources granted to the integration; None grants all."""
    admin_resources: Sequence[str] | None = None
    """ACL resources granted to the admin user; None grants all."""
    two_factor: bool = False
    """The two-factor module is on: the admin token endpoint refuses even the right password."""
    admin_token_seconds: int = 3600
    """Life of an admin or customer token (JWT, 60 minutes by default)."""
    lockout_seconds: int = 1800
    """How long a user stays locked after six wrong passwords."""
    past_end: Literal["empty", "repeat"] = "empty"
    """A page past the end: empty (2.4), or the last page again (up to 2.3)."""
    row_total: Literal["raw", "V1", "V2", "V3"] = "V1"
    """How REST rewrites an order item's `row_total`: V1 up to 2.4.7, V2 in 2.4.8, V3 later, raw up to 2.2."""
    strict_comment_status: bool = False
    """2.4.7 and later: a comment whose status does not belong to the order's state is refused."""
    order_mutex: bool = False
    """2.4.6 and later: the refund action takes the order lock as well, not the invoice action alone."""
    discount_on_gross: bool = False
    """`tax/calculation/discount_tax`: discounts are taken from prices including tax (trade website)."""
    tax_before_discount: bool = False
    """`tax/calculation/apply_after_discount` off: tax is taken of the full price, whatever the discount."""
    shipping_origin: str = "GB"
    """Country whose tax is stripped from tax-inclusive catalogue prices."""
    trade_shipping: Decimal = Decimal("6.00")
    """Flat rate of the trade website, tax included."""
    race_window_ms: int = 4
    """How long an invoice holds its copy of an order before writing it back; others three times."""
    visibility_lag_ms: int = 0
    """A new or changed sales row becomes readable this long after the stamp it carries."""
    page_limit: int | None = None
    """`webapi/validation/maximum_page_size` when input limits are on (off by default)."""
    edition: Literal["community", "commerce"] = "community"
    """Adobe Commerce has gift cards, store credit, reward points and gift wrapping; Open Source has none of them."""
    redeeming: Sequence[str] = ("giftcardaccount", "reward", "customerbalance")
    """In which order a document is settled by redeemed means (names of the total collectors)."""
    seed: bool = True
    """Fill the catalogue, tax set-up and categories; False leaves products, rates and rules empty."""
    broker: bool = True
    """A message broker is configured: without one the asynchronous routes are refused."""
