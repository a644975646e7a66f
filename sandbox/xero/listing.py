"""Lists: If-Modified-Since, filters, where, order, live paging, and which form the rows have.

Default order is UpdatedDateUTC, then id, and a page is an offset into the list as it is now: a row that
is edited while a client walks the pages moves to the end and pulls another one back onto a page already
read. pageSize is clamped to 1..1000. Without `page` a list is whole and summarised. Sources: "Requests
and responses", "Efficient data retrieval".
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sandbox.xero import errors, query
from sandbox.xero.endpoints import Endpoint
from sandbox.xero.fields import SCHEMAS
from sandbox.xero.forms import Form
from sandbox.xero.store import Options, Record, Tenant
from sandbox.xero.views import VIEWS

_ALIASES = {"AmountDue": "_outstanding", "RemainingCredit": "_outstanding"}
_LINKS = {
    "Contact": ("_contact", "Contacts"),
    "BankAccount": ("_bank", "Accounts"),
    "Account": ("_account", "Accounts"),
}
_FILTERS = ("IDs", "InvoiceNumbers", "ContactIDs", "Statuses", "References", "createdByMyApp", "searchTerm")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The rows of an answer, and the pagination object when it is paged."""

    rows: list[Record]
    pagination: dict[str, int] | None


def rows(
    tenant: Tenant,
    endpoint: Endpoint,
    arguments: dict[str, str],
    since: str | None,
    options: Options,
    app: str,
) -> Page:
    """The list of an endpoint as the query asks for it."""
    found: Iterable[Record] = tenant.all(endpoint.plural)
    if since and endpoint.modified is not None:
        found = _modified(found, endpoint.modified, since, options)
    for keep in _filters(tenant, endpoint, arguments, app):
        found = [record for record in found if keep(record)]
    if endpoint.where and arguments.get("where"):
        holds = query.parse(arguments["where"], endpoint.singular)
        found = [record for record in found if holds(reader(tenant, endpoint.plural, record))]
    _guard_volume(tenant, endpoint, arguments, since, options)
    ordered = _ordered(tenant, endpoint, list(found), arguments)
    page, size = _page(endpoint, arguments)
    form = Form(
        full=page is not None or endpoint.pages == "no",
        single=False,
        summary=_flag(arguments, "summaryOnly") and endpoint.plural in ("Invoices", "Contacts"),
        places=4 if arguments.get("unitdp") == "4" else 2,
    )
    view = VIEWS[endpoint.plural]
    if page is None:
        return Page(rows=[view(tenant, record, form) for record in ordered], pagination=None)
    cut = ordered[(page - 1) * size : page * size]
    pages = -(-len(ordered) // size)
    pagination = {"page": page, "pageSize": size, "pageCount": pages, "itemCount": len(ordered)}
    return Page(rows=[view(tenant, record, form) for record in cut], pagination=pagination)


def reader(tenant: Tenant, entity: str, record: Record) -> Callable[[str], Any]:
    """A function that reads a dotted path of a record, from the record itself where it can."""

    def read(path: str) -> Any:
        head, _, rest = path.partition(".")
        if head in _LINKS and _LINKS[head][0] in record:
            key, linked = _LINKS[head]
            target = tenant.get(linked, record[key])
            return None if target is None else reader(tenant, linked, target)(rest) if rest else target
        if rest and record.get("_entity") == f"{head}s":
            return reader(tenant, f"{head}s", tenant.must(f"{head}s", record["_document"]))(rest)
        if head in _ALIASES and _ALIASES[head] in record:
            return record[_ALIASES[head]]
        value = record.get(head)
        return value.get(rest) if rest and isinstance(value, dict) else None if rest else value

    del entity
    return read


def _modified(found: Iterable[Record], name: str, since: str, options: Options) -> list[Record]:
    """Rows changed after the second that the header names; a header that is not ISO is as good as none."""
    if not re.fullmatch(r"\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?)?Z?", since.strip()):
        return list(found)
    at = datetime.fromisoformat(since.strip().rstrip("Z")).replace(microsecond=0, tzinfo=UTC)
    # Strict on whole seconds: a row changed within the named second is not "after" it.
    earliest = at + timedelta(seconds=1) if options.modified_since == ">" else at
    return [record for record in found if record[name] >= earliest]


def _filters(
    tenant: Tenant, endpoint: Endpoint, arguments: dict[str, str], app: str
) -> list[Callable[[Record], bool]]:
    kept: list[Callable[[Record], bool]] = []
    if not _flag(arguments, "includeArchived"):
        kept.append(_visible(endpoint.plural))
    if endpoint.plural == "BankTransfers" and not _flag(arguments, "includeDeleted"):
        kept.append(lambda record: bool(record["Status"] != "DELETED"))
    for name, field in _LISTS.get(endpoint.plural, {}).items():
        if arguments.get(name):
            kept.append(_one_of(field, arguments[name]))
    if endpoint.plural == "Invoices" and _flag(arguments, "createdByMyApp"):
        kept.append(lambda record: bool(record.get("_app") == app))
    if arguments.get("searchTerm") and endpoint.plural in ("Contacts", "Invoices"):
        kept.append(_search(tenant, arguments["searchTerm"].casefold()))
    if endpoint.plural == "PurchaseOrders":
        kept += _order_dates(arguments)
    return kept


_LISTS = {
    "Invoices": {
        "IDs": "InvoiceID",
        "InvoiceNumbers": "InvoiceNumber",
        "ContactIDs": "_contact",
        "Statuses": "Status",
    },
    "Contacts": {"IDs": "ContactID"},
    "Overpayments": {"References": "Reference"},
    "Prepayments": {"InvoiceNumbers": "Reference"},
    "PurchaseOrders": {"Status": "Status"},
}


def _one_of(field: str, text: str) -> Callable[[Record], bool]:
    wanted = {_same(each.strip()) for each in text.split(",")}
    return lambda record: str(record.get(field, "")).casefold() in wanted


def _same(text: str) -> str:
    """A value as it is compared: ids come with and without dashes (pyxero sends them without)."""
    return str(uuid.UUID(text)) if re.fullmatch(r"[0-9a-fA-F]{32}", text) else text.casefold()


def _visible(entity: str) -> Callable[[Record], bool]:
    """Archived contacts, categories, and invoices archived in the user interface are hidden from lists."""
    if entity == "Contacts":
        return lambda record: bool(record["ContactStatus"] == "ACTIVE")
    if entity == "TrackingCategories":
        return lambda record: bool(record["Status"] == "ACTIVE")
    return lambda record: not record.get("_archived")


def _search(tenant: Tenant, term: str) -> Callable[[Record], bool]:
    names = ("Name", "FirstName", "LastName", "ContactNumber", "EmailAddress", "InvoiceNumber", "Reference")

    def holds(record: Record) -> bool:
        texts = [str(record.get(name) or "") for name in names]
        contact = tenant.get("Contacts", record.get("_contact"))
        texts += [contact["Name"]] if contact is not None else []
        return any(term in text.casefold() for text in texts)

    return holds


def _order_dates(arguments: dict[str, str]) -> list[Callable[[Record], bool]]:
    kept: list[Callable[[Record], bool]] = []
    if arguments.get("DateFrom"):
        first = _date(arguments["DateFrom"])
        kept.append(lambda record: bool(record["Date"] >= first))
    if arguments.get("DateTo"):
        last = _date(arguments["DateTo"])
        kept.append(lambda record: bool(record["Date"] <= last))
    return kept


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        raise errors.bad_query(f"The string '{text}' is not a valid AllXsd value.") from None


def _flag(arguments: dict[str, str], name: str) -> bool:
    return arguments.get(name, "").lower() == "true"


def _ordered(
    tenant: Tenant, endpoint: Endpoint, found: list[Record], arguments: dict[str, str]
) -> list[Record]:
    stamp = endpoint.modified
    if stamp is not None:
        found.sort(key=lambda record: (record[stamp], record[endpoint.id]))
    if not endpoint.order or not arguments.get("order"):
        return found
    for path, descending in reversed(query.order(arguments["order"], endpoint.singular)):
        found.sort(
            key=lambda record: _sortable(reader(tenant, endpoint.plural, record)(path)), reverse=descending
        )
    return found


def _sortable(value: Any) -> tuple[bool, Any]:
    if isinstance(value, str):
        return True, value.casefold()
    return value is not None, value if value is not None else 0


def _page(endpoint: Endpoint, arguments: dict[str, str]) -> tuple[int | None, int]:
    """Page number and size; the size is clamped, and some lists are paged without being asked."""
    if endpoint.pages == "no":
        return None, 0
    forced = endpoint.pages == "always" or (
        endpoint.plural in ("Invoices", "Contacts")
        and (any(arguments.get(name) for name in _FILTERS) or _flag(arguments, "summaryOnly"))
    )
    if "page" not in arguments and not forced:
        return None, 0
    return max(1, _whole(arguments.get("page"), 1)), min(1000, max(1, _whole(arguments.get("pageSize"), 100)))


def _whole(text: str | None, default: int) -> int:
    return int(text) if text is not None and re.fullmatch(r"-?\d+", text) else default


_HEAVY = (
    "Invoices",
    "Payments",
    "BankTransactions",
    "ManualJournals",
    "CreditNotes",
    "Contacts",
    "PurchaseOrders",
)
_CHEAP = (
    "Status",
    "Type",
    "Reference",
    "Date",
    "DueDate",
    "AmountDue",
    "AmountPaid",
    "Contact",
    "InvoiceNumber",
    "InvoiceID",
    "Invoice",
    "Name",
    "EmailAddress",
    "AccountNumber",
    "PaymentType",
    "PaymentID",
)


def _guard_volume(
    tenant: Tenant, endpoint: Endpoint, arguments: dict[str, str], since: str | None, options: Options
) -> None:
    """Refuse wide queries of an organisation with many documents ("Efficient data retrieval")."""
    if options.high_volume is None or endpoint.plural not in _HEAVY:
        return
    if tenant.count(endpoint.plural) <= options.high_volume:
        return
    where = re.sub(r'"[^"]*"', "", arguments.get("where", ""))
    known = SCHEMAS[endpoint.singular]
    named = [name for name in re.findall(r"[A-Za-z]+", where) if name in known]
    wide = not since and "page" not in arguments and not any(arguments.get(name) for name in _FILTERS)
    if any(name not in _CHEAP for name in named) or (wide and not named):
        raise errors.high_volume()
