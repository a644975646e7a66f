"""The accounting API under `/api.xro/2.0`: from address and method to the answer's envelope.

Every address is an endpoint, an id, and perhaps a part of the record. The caller has logged in, is within
its limits and holds the lock; what is returned here is the elements under their plural name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sandbox.xero import allocations, body, errors, forms, listing, payments, reports, saving, settings, views
from sandbox.xero.endpoints import Endpoint, named
from sandbox.xero.forms import Form
from sandbox.xero.oauth import Access, allowed
from sandbox.xero.store import Call, Options, Record, Tenant, new_id
from sandbox.xero.views import VIEWS


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request to the API."""

    method: str
    parts: tuple[str, ...]  # of the path after /api.xro/2.0
    arguments: dict[str, str]
    since: str | None
    content_type: str
    data: bytes
    access: Access
    tenant: Tenant
    options: Options

    @property
    def places(self) -> int:
        """Decimals of unit prices, in what is sent and in what is answered."""
        return 4 if self.arguments.get("unitdp") == "4" else 2

    @property
    def app(self) -> str:
        """The app that asks."""
        return self.access.app.client_id

    def call(self) -> Call:
        """The context of a write."""
        return Call(
            tenant=self.tenant,
            options=self.options,
            create_only=self.method == "PUT",
            places=self.places,
            app=self.app,
        )


Answer = dict[str, Any] | None  # None: 204


def serve(ask: Ask) -> Answer:
    """The elements that answer the request, or None for 204; raises ApiError."""
    name = ask.parts[0].lower() if ask.parts else ""
    if name == "reports":
        return _report(ask)
    if name == "journals":
        return _journals(ask)
    endpoint = named(name)
    if endpoint is None:
        raise errors.not_found()
    part = ask.parts[2].lower() if len(ask.parts) > 2 else ""
    _check_scope(ask, endpoint, part)
    if endpoint.plural == "Organisations":
        return _organisation(ask)
    if part:
        return _part(ask, endpoint, part)
    return _record(ask, endpoint) if len(ask.parts) == 2 else _collection(ask, endpoint)


def _check_scope(ask: Ask, endpoint: Endpoint, part: str) -> None:
    write = ask.method != "GET"
    scopes = endpoint.scopes
    if part == "attachments":
        scopes = ("accounting.attachments",)
    # Page and specification contradict each other on what a write to Items needs: here both.
    both = endpoint.plural == "Items" and write
    groups = [scopes[:1], scopes[1:]] if both else [scopes]
    if not all(allowed(ask.access, group, write=write) for group in groups):
        raise errors.unauthorised("AuthorizationUnsuccessful", scope=True)


def _organisation(ask: Ask) -> Answer:
    if ask.method != "GET":
        raise errors.not_implemented()
    if len(ask.parts) > 1 and ask.parts[1].lower() == "actions":
        names = ("CreateDraftInvoice", "CreateApprovedInvoice", "CreatePayment", "UseMulticurrency")
        return {"Actions": [{"Name": name, "Status": "ALLOWED"} for name in names]}
    return {"Organisations": [forms.plain(ask.tenant, ask.tenant.organisation, Form())]}


def _collection(ask: Ask, endpoint: Endpoint) -> Answer:
    if ask.method == "GET":
        page = listing.rows(ask.tenant, endpoint, ask.arguments, ask.since, ask.options, ask.app)
        paged = {"pagination": page.pagination} if page.pagination is not None else {}
        return {**paged, endpoint.plural: page.rows}
    if not {"PUT": endpoint.put, "POST": endpoint.post}.get(ask.method, False):
        raise errors.not_implemented()
    raws = _raws(ask, endpoint.plural, endpoint.singular)
    summarize = (
        ask.method not in endpoint.summarize or ask.arguments.get("summarizeErrors", "").lower() != "false"
    )
    return {endpoint.plural: saving.save_all(ask.call(), endpoint, raws, summarize=summarize)}


def _raws(ask: Ask, plural: str, singular: str) -> list[Record]:
    return body.elements(ask.data, ask.content_type, plural=plural, singular=singular, schema=singular)


def find(tenant: Tenant, endpoint: Endpoint, text: str) -> Record:
    """The record that an address names by id, or by number where the endpoint has one."""
    record = tenant.get(endpoint.plural, text.lower()) or tenant.get(endpoint.plural, text)
    if record is None and endpoint.number is not None:
        record = next((each for each in tenant.find(endpoint.plural, endpoint.number, text)), None)
    if record is None:
        raise errors.not_found()
    return record


def _record(ask: Ask, endpoint: Endpoint) -> Answer:
    if ask.method == "DELETE":
        return _delete(ask, endpoint)
    record = find(ask.tenant, endpoint, ask.parts[1])
    if ask.method == "GET":
        return {endpoint.plural: [VIEWS[endpoint.plural](ask.tenant, record, Form(places=ask.places))]}
    if ask.method != "POST" or not endpoint.post_by_id:
        raise errors.not_implemented()
    raw = _raws(ask, endpoint.plural, endpoint.singular)[:1]
    identifier = record[endpoint.id]
    save = None
    if endpoint.plural == "Payments":
        save = lambda call, values: payments.delete(call, identifier, values)  # noqa: E731
    else:
        raw = [{**raw[0], endpoint.id: identifier}]
    return {endpoint.plural: saving.save_all(ask.call(), endpoint, raw, summarize=True, save=save)}


def _delete(ask: Ask, endpoint: Endpoint) -> Answer:
    call, identifier = ask.call(), ask.parts[1].lower()
    deletes: dict[str, Callable[[], Record | None]] = {
        "Accounts": lambda: settings.delete_account(call, identifier),
        "Items": lambda: settings.delete_item(call, identifier),
        "TrackingCategories": lambda: settings.delete_tracking(call, identifier, None),
    }
    if endpoint.plural not in deletes:
        raise errors.not_implemented()
    gone = _or_400(endpoint, deletes[endpoint.plural])
    return None if gone is None else {endpoint.plural: [VIEWS[endpoint.plural](ask.tenant, gone, Form())]}


def _or_400(endpoint: Endpoint, do: Callable[[], Record | None]) -> Record | None:
    try:
        return do()
    except errors.ElementError as error:
        raise saving.refusal(endpoint, {}, error.messages) from None


def _part(ask: Ask, endpoint: Endpoint, part: str) -> Answer:
    if part == "allocations" and endpoint.plural in ("CreditNotes", "Overpayments", "Prepayments"):
        return _allocations(ask, endpoint)
    if part == "options" and endpoint.plural == "TrackingCategories":
        return _options(ask)
    if part == "history":
        return _history(ask, endpoint)
    if part == "email" and endpoint.plural == "Invoices" and ask.method == "POST":
        raise errors.ApiError(
            400, {"Message": "Daily Email Rate Limit Exceeded"}
        )  # a demo company may send none
    raise errors.not_found()


def _allocations(ask: Ask, endpoint: Endpoint) -> Answer:
    identifier = str(find(ask.tenant, endpoint, ask.parts[1])[endpoint.id])
    call = ask.call()
    if ask.method == "DELETE" and len(ask.parts) == 4:

        def take_back() -> Record:
            return allocations.delete(call, endpoint.plural, identifier, ask.parts[3].lower())

        gone = _or_400(ALLOCATION, take_back) or {}
        return {"AllocationID": gone["AllocationID"], "IsDeleted": True}
    if ask.method != "PUT":
        raise errors.not_implemented()
    raws = _raws(ask, "Allocations", "Allocation")
    summarize = ask.arguments.get("summarizeErrors", "").lower() != "false"
    made = saving.save_all(
        call,
        ALLOCATION,
        raws,
        summarize=summarize,
        save=lambda call, values: allocations.create(call, endpoint.plural, identifier, values),
        show=lambda made: views.allocation(call.tenant, call.tenant.must("Allocations", made), source=True),
    )
    return {"Allocations": made}


ALLOCATION = Endpoint(plural="Allocations", singular="Allocation", scopes=(), id="AllocationID")
OPTION = Endpoint(plural="Options", singular="TrackingOption", scopes=(), id="TrackingOptionID")


def _options(ask: Ask) -> Answer:
    category, call = ask.parts[1].lower(), ask.call()
    wanted = ask.parts[3].lower() if len(ask.parts) > 3 else None
    if ask.method == "DELETE" and wanted is not None:
        return {"Options": [_or_400(OPTION, lambda: settings.delete_tracking(call, category, wanted))]}
    if (ask.method, wanted is None) not in (("PUT", True), ("POST", False)):
        raise errors.not_implemented()
    made: list[Record] = []

    def save(call: Call, values: Record) -> str:
        made.append(settings.save_option(call, category, values))
        return str(made[-1]["TrackingOptionID"])

    raws = body.elements(
        ask.data, ask.content_type, plural="Options", singular="TrackingOption", schema="TrackingOption"
    )
    raws = [{**raws[0], "TrackingOptionID": wanted}] if wanted is not None else raws
    return {
        "Options": saving.save_all(call, OPTION, raws, summarize=True, save=save, show=lambda _made: made[-1])
    }


def _history(ask: Ask, endpoint: Endpoint) -> Answer:
    identifier = str(find(ask.tenant, endpoint, ask.parts[1])[endpoint.id])
    if ask.method == "PUT":
        for raw in _raws(ask, "HistoryRecords", "HistoryRecord"):
            values, messages = body.typed(raw, "HistoryRecord")
            if messages:
                raise saving.refusal(HISTORY, raw, messages)
            note = {
                "Changes": "Note",
                "DateUTC": ask.tenant.now(),
                "User": "System Generated",
                "Details": values.get("Details", ""),
                "_of": identifier,
            }
            ask.tenant.put("History", new_id(), note)
        ask.tenant.commit()
    elif ask.method != "GET":
        raise errors.not_implemented()
    held = [note for note in ask.tenant.all("History") if note["_of"] == identifier]
    return {"HistoryRecords": [forms.plain(ask.tenant, note, Form()) for note in held]}


HISTORY = Endpoint(plural="HistoryRecords", singular="HistoryRecord", scopes=(), id="HistoryRecordID")


def _report(ask: Ask) -> Answer:
    scopes = ("accounting.reports.trialbalance", "accounting.reports")
    if not allowed(ask.access, scopes, write=False):
        raise errors.unauthorised("AuthorizationUnsuccessful", scope=True)
    if ask.method != "GET":
        raise errors.not_implemented()
    if len(ask.parts) < 2 or ask.parts[1].lower() != "trialbalance":
        raise errors.not_found()
    return {"Reports": [reports.trial_balance(ask.tenant, ask.arguments)]}


def _journals(ask: Ask) -> Answer:
    """At most 100 rows with a JournalNumber above `offset`; closed without the tier that includes them."""
    if not ask.options.journals or not allowed(ask.access, ("accounting.journals",), write=False):
        raise errors.unauthorised("AuthorizationUnsuccessful", scope=True)
    if ask.method != "GET":
        raise errors.not_implemented()
    found = list(ask.tenant.all("Journals"))
    if len(ask.parts) > 1:
        one = [each for each in found if ask.parts[1] in (each["JournalID"], str(each["JournalNumber"]))]
        if not one:
            raise errors.not_found()
        return {"Journals": [views.journal(ask.tenant, one[0], Form())]}
    offset = int(ask.arguments["offset"]) if ask.arguments.get("offset", "").isdigit() else 0
    rows = [each for each in found if each["JournalNumber"] > offset][:100]
    return {"Journals": [views.journal(ask.tenant, each, Form(single=False)) for each in rows]}
