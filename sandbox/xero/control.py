"""What a person could do in the vendor's user interface, and a look at the books: under `/_sandbox`.

GET  ledger            accounts with base balances (debit positive), debtors by contact, journals, net and
                       tax by tax type; `?date=2026-09-30` counts journals up to that day only
GET  state/<Entity>    every record as it is kept, own fields included
POST edit              {"entity", "id", "fields", "silent"?}: change a record past the API's rules, lines too
POST merge             {"from", "into"}: the loser is archived and names the winner
POST organisation      fields of the organisation, such as {"PeriodLockDate": "2026-09-30"}; null clears
POST records/<Entity>  create a record with the API's validation, without login
POST history           years of records: {"seed", "from", "until", "contacts", "items", "invoices", "sales": […]}
POST limits            {"minute": 60, "day": 5000, "concurrent": 5, "appminute": 10000}; null: no limit
POST options           options of the stand-in by name
POST reconcile         {"payment_id"} or {"bank_transaction_id"}: matched to the bank statement
POST disconnect        {"client_id"?}: the user removes the app's connections

All take `?tenant=<id>`; without it they mean the first organisation.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import flask

from sandbox.xero import body, contacts, documents, errors, history, ledger, lines, payments, saving
from sandbox.xero.endpoints import by_entity, named
from sandbox.xero.fields import SCHEMAS
from sandbox.xero.render import plain_json
from sandbox.xero.site import Site
from sandbox.xero.store import Call, Options, Record, Tenant, stamped


def routes(site: Site) -> flask.Blueprint:
    """The control routes of this stand-in."""
    blueprint = flask.Blueprint("sandbox_xero_control", __name__)
    _reads(blueprint, site)
    _creation(blueprint, site)
    actions: dict[str, Callable[[Site, Tenant, Record], Any]] = {
        "edit": _edit,
        "merge": _merge,
        "organisation": _organisation,
        "limits": _limits,
        "options": _options,
        "reconcile": _reconcile,
        "disconnect": _disconnect,
        "history": _history,
    }

    @blueprint.post("/<action>")
    def act(action: str) -> Any:
        if action not in actions:
            return {"error": f"there is no action {action}"}, 404
        wanted = json.loads(flask.request.get_data() or b"{}", parse_float=Decimal)
        with site.store.lock:
            tenant = _tenant(site)
            mark = tenant.savepoint()
            try:
                value = actions[action](site, tenant, wanted)
            except (errors.ElementError, errors.ApiError, KeyError, TypeError, ValueError) as error:
                tenant.rollback(mark)
                return {"error": getattr(error, "messages", None) or str(error)}, 400
            tenant.commit()
            return _answer(value)

    return blueprint


def _answer(value: Any, status: int = 200) -> flask.Response:
    return flask.Response(plain_json(value), status, mimetype="application/json")


def _reads(blueprint: flask.Blueprint, site: Site) -> None:
    @blueprint.get("/ledger")
    def show_ledger() -> flask.Response:
        day = flask.request.args.get("date")
        with site.store.lock:
            return _answer(ledger.shown(_tenant(site), date.fromisoformat(day) if day else None))

    @blueprint.get("/state/<entity>")
    def show_state(entity: str) -> flask.Response:
        endpoint = named(entity)
        with site.store.lock:
            tenant = _tenant(site)
            if endpoint is not None and endpoint.plural == "Organisations":
                return _answer([tenant.organisation])
            records = tenant.all(endpoint.plural if endpoint is not None else entity)
            return _answer([_state(record) for record in records])


def _creation(blueprint: flask.Blueprint, site: Site) -> None:
    @blueprint.post("/records/<entity>")
    def create_record(entity: str) -> Any:
        endpoint = named(entity)
        if endpoint is None or endpoint.plural not in saving.SAVES:
            return {"error": f"there is no entity {entity}"}, 404
        data = json.loads(flask.request.get_data(), parse_float=Decimal)
        with site.store.lock:
            call = Call(
                tenant=_tenant(site), options=site.store.options, create_only=True, by_person=True, places=4
            )
            raws = data if isinstance(data, list) else [data]
            try:
                made = saving.save_all(call, endpoint, raws, summarize=True)
            except errors.ApiError as error:
                return _answer(error.body, error.status)
            return _answer({endpoint.plural: made})


def _tenant(site: Site) -> Tenant:
    wanted = flask.request.args.get("tenant")
    tenants = site.store.tenants
    return tenants[wanted] if wanted else next(iter(tenants.values()))


def _state(record: Record) -> Record:
    return {
        name: [_entry(each) for each in value] if name == "_entries" else value
        for name, value in record.items()
    }


def _entry(entry: ledger.Entry) -> Record:
    names = ("account", "amount", "base", "tax_type", "kind")
    return {name: getattr(entry, name) for name in names}


def _edit(site: Site, tenant: Tenant, wanted: Record) -> Any:
    endpoint = by_entity(wanted["entity"])
    old = tenant.get(endpoint.plural, wanted["id"])
    if old is None:
        raise ValueError(f"there is no {endpoint.singular} {wanted['id']}")
    call = Call(tenant=tenant, options=site.store.options, by_person=True, places=4)
    new = {**old, **_fields(call, endpoint.singular, old, dict(wanted["fields"]))}
    if endpoint.plural in ("Invoices", "CreditNotes"):
        kind = documents.INVOICE if endpoint.plural == "Invoices" else documents.CREDIT_NOTE
        new = documents.edited(call, old, new, kind)
    elif endpoint.plural == "Payments":
        payments.edited(tenant, old, new)
    if endpoint.modified == "UpdatedDateUTC" and not wanted.get("silent"):
        new = stamped(tenant, new)
    tenant.put(endpoint.plural, old[endpoint.id], new)
    return _state(new)


def _fields(call: Call, schema: str, old: Record, fields: Record) -> Record:
    """The fields with Python types; lines go through the same arithmetic as the API's, by LineItemID."""
    found: Record = {}
    for name, value in fields.items():
        field = SCHEMAS[schema].get(name)
        if name == "LineItems":
            kind = "ACCREC" in str(old.get("Type"))
            sheet = lines.Sheet(
                sale=kind,
                approved=True,
                amounts=str(fields.get("LineAmountTypes") or old["LineAmountTypes"]),
                discounts=True,
                places=4,
                old={line["LineItemID"]: line for line in old["LineItems"]},
            )
            typed, _ = body.typed({"LineItems": value}, schema)
            found[name] = lines.build(call, typed["LineItems"], sheet)
        elif name == "Contact":
            found["_contact"] = contacts.for_document(call, value)
        elif name == "Archived":
            found["_archived"] = bool(value)
        elif value is None or field is None:
            found[name] = value
        elif field.kind in ("number", "date") and value is not None:
            found[name] = Decimal(str(value)) if field.kind == "number" else body.business_date(str(value))
        else:
            found[name] = value
    return found


def _merge(_site: Site, tenant: Tenant, wanted: Record) -> Any:
    """Merge a contact into another: its documents move, it is archived and says where it went."""
    loser, winner = tenant.must("Contacts", wanted["from"]), tenant.must("Contacts", wanted["into"])
    for entity, name in _WITH_CONTACT.items():
        for record in [each for each in tenant.all(entity) if each.get("_contact") == loser["ContactID"]]:
            tenant.put(entity, record[name], {**record, "_contact": winner["ContactID"]})
    changed = {**loser, "ContactStatus": "ARCHIVED", "MergedToContactID": winner["ContactID"]}
    tenant.put("Contacts", loser["ContactID"], stamped(tenant, changed))
    used = {name: winner[name] or loser[name] for name in ("IsCustomer", "IsSupplier")}
    tenant.put("Contacts", winner["ContactID"], stamped(tenant, {**winner, **used}))
    return {"from": changed["ContactID"], "into": winner["ContactID"]}


_WITH_CONTACT = {
    "Invoices": "InvoiceID",
    "CreditNotes": "CreditNoteID",
    "PurchaseOrders": "PurchaseOrderID",
    "BankTransactions": "BankTransactionID",
    "Overpayments": "OverpaymentID",
    "Prepayments": "PrepaymentID",
}


def _organisation(_site: Site, tenant: Tenant, wanted: Record) -> Any:
    for name, value in wanted.items():
        tenant.organisation[name] = (
            date.fromisoformat(value[:10]) if name.endswith("LockDate") and value is not None else value
        )
    return tenant.organisation


def _limits(site: Site, _tenant: Tenant, wanted: Record) -> Any:
    site.limits.change({name: None if value is None else int(value) for name, value in wanted.items()})
    return dict(site.limits.most)


def _options(site: Site, _tenant: Tenant, wanted: Record) -> Any:
    names = set(Options.__slots__)
    if not set(wanted) <= names:
        raise ValueError(f"options are named {sorted(names)}")
    if "rates" in wanted:
        wanted["rates"] = {name: Decimal(str(rate)) for name, rate in wanted["rates"].items()}
    site.store.options = replace(site.store.options, **wanted)
    site.limits.rolling = site.store.options.window == "rolling"
    return {name: getattr(site.store.options, name) for name in sorted(names)}


def _reconcile(_site: Site, tenant: Tenant, wanted: Record) -> Any:
    entity, name = (
        ("Payments", "payment_id") if "payment_id" in wanted else ("BankTransactions", "bank_transaction_id")
    )
    record = tenant.must(entity, wanted[name])
    return _state(tenant.put(entity, wanted[name], stamped(tenant, {**record, "IsReconciled": True})))


def _history(site: Site, tenant: Tenant, wanted: Record) -> Any:
    call = Call(tenant=tenant, options=site.store.options, by_person=True, places=4)
    return history.make(call, wanted)


def _disconnect(site: Site, _tenant: Tenant, wanted: Record) -> Any:
    held = site.identity.connections
    gone = [key for key, each in held.items() if wanted.get("client_id") in (None, each.client_id)]
    for key in gone:
        del held[key]
    return {"removed": gone}
