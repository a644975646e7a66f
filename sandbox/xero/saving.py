"""Writes: which function saves an element, batches with and without summarised errors, and their answers.

Default: any invalid element refuses the whole request with 400 and nothing is saved. With
summarizeErrors=false the answer is 200 with a result an element, in request order, and the valid ones are
saved. A failed new element has the zero id. ("Requests and responses", "HTTP response codes & errors".)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from sandbox.xero import bank, body, contacts, documents, errors, journals, payments, settings
from sandbox.xero.endpoints import Endpoint
from sandbox.xero.forms import Form
from sandbox.xero.store import Call, Record
from sandbox.xero.views import VIEWS

Save = Callable[[Call, Record], str]

SAVES: dict[str, Save] = {
    "Accounts": settings.save_account,
    "BankTransactions": bank.save,
    "BankTransfers": bank.transfer,
    "Contacts": contacts.save,
    "CreditNotes": partial(documents.save, kind=documents.CREDIT_NOTE),
    "Currencies": settings.save_currency,
    "Invoices": partial(documents.save, kind=documents.INVOICE),
    "Items": settings.save_item,
    "ManualJournals": journals.save_journal,
    "Payments": payments.create,
    "PurchaseOrders": journals.save_order,
    "TaxRates": settings.save_tax_rate,
    "TrackingCategories": settings.save_category,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of one element: its id, or the messages that refused it."""

    raw: Record
    id: str | None
    messages: list[str]
    warnings: list[str]
    unknown: bool = False


def save_all(
    call: Call,
    endpoint: Endpoint,
    raws: list[Record],
    *,
    summarize: bool,
    save: Save | None = None,
    show: Callable[[str], Record] | None = None,
) -> list[Record]:
    """Save the elements and return them as the answer shows them; raises the 400 of a refused batch."""
    tenant = call.tenant
    if endpoint.most is not None and len(raws) > endpoint.most:
        raise errors.invalid_data(f"A maximum of {endpoint.most} elements is allowed in a request.")
    read = [(raw, *body.typed(raw, endpoint.singular)) for raw in raws[: 1 if endpoint.one_only else None]]
    start = tenant.savepoint()
    results = [_one(call, save or SAVES[endpoint.plural], *each) for each in read]
    failed = [result for result in results if result.id is None]
    if failed and summarize:
        tenant.rollback(start)
        if any(result.unknown for result in failed):
            raise errors.not_found()
        raise _refusal(endpoint, failed)
    tenant.commit()
    view = show or partial(shown, call, endpoint.plural)
    return [_answer(endpoint, result, view, summarize=summarize) for result in results]


def _one(call: Call, save: Save, raw: Record, values: Record, messages: list[str]) -> Result:
    call.warnings = []
    if messages:
        return Result(raw=raw, id=None, messages=messages, warnings=[])
    mark = call.tenant.savepoint()
    try:
        identifier = save(call, values)
    except errors.ElementError as error:
        call.tenant.rollback(mark)
        unknown = isinstance(error, errors.UnknownIdError)
        return Result(raw=raw, id=None, messages=error.messages, warnings=call.warnings, unknown=unknown)
    return Result(raw=raw, id=identifier, messages=[], warnings=call.warnings)


def shown(call: Call, entity: str, identifier: str) -> Record:
    """A record as the answer to a write shows it: whole, prices to the places that were asked for."""
    record = call.tenant.must(entity, identifier)
    return VIEWS[entity](call.tenant, record, Form(places=call.places))


def refusal(endpoint: Endpoint, raw: Record, messages: list[str]) -> errors.ApiError:
    """The 400 of a request that concerns one element."""
    return _refusal(endpoint, [Result(raw=raw, id=None, messages=messages, warnings=[])])


def _refusal(endpoint: Endpoint, failed: list[Result]) -> errors.ApiError:
    elements = [_echo(endpoint, result) for result in failed]
    return errors.ApiError(
        400,
        {
            "ErrorNumber": 10,
            "Type": "ValidationException",
            "Message": "A validation exception occurred",
            "Elements": elements,
        },
    )


def _echo(endpoint: Endpoint, result: Result) -> Record:
    messages = [{"Message": message} for message in result.messages]
    echo: dict[str, Any] = {endpoint.id: errors.ZERO_ID, **result.raw, "ValidationErrors": messages}
    return echo | _warned(result)


def _warned(result: Result) -> Record:
    return {"Warnings": [{"Message": message} for message in result.warnings]} if result.warnings else {}


def _answer(endpoint: Endpoint, result: Result, view: Callable[[str], Record], *, summarize: bool) -> Record:
    if result.id is None:
        marks = {"StatusAttributeString": "ERROR", "HasErrors": True, "HasValidationErrors": True}
        return {**_echo(endpoint, result), **marks}
    answer = view(result.id) | _warned(result)
    if not summarize:
        state = "WARNING" if result.warnings else "OK"
        answer |= {"StatusAttributeString": state, "HasValidationErrors": False, "ValidationErrors": []}
    return answer
