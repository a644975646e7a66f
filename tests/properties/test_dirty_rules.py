"""Law of the dirty rules: whatever happens to a mirrored record, each row of an outbound model or mart that differs
afterwards belongs to a driving record that the rules named. So the diff of what changed finds all that a full one finds.

Nothing here knows what a model reads: every table of its lineage is edited, and all its rows are compared. A small trade is
taken through the real commands first, so that links and the ledger's own records are there too. `TIEOUT_TEST_EDITS` sets
how many random examples are tried.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

from cdc import diff as differ
from sandbox import random_trade
from tests.acceptance.fix_setup import new_world
from tests.acceptance.fix_world import World
from tests.properties import fix_edits as edits
from tests.properties.fix_edits import Edit, Record, Rows, Session, Watched
from tieout.limits import Limits
from tieout.settings import Settings

ORDERS = 10
SEED = 5
EXAMPLES = int(os.environ.get("TIEOUT_TEST_EDITS", "5"))

# More of the models has something to say: drafts, deposits, contacts by company, rates of a table, the way back to the shop,
# taxes by the class of a product, costs.
RICHER = """
update lookups.routes set draft_on_order = 'yes', deposits = 'prepayment', contacts = 'by_company', rate_source = 'table';
insert into lookups.back_routes (connection, to_connection, entity)
select 'books', 'shop', unnest(array['customers', 'products', 'base_prices', 'source_items']);
insert into lookups.taxes (connection, tax_code, percent, zone, business, line_kind, tax_type, product_class)
select connection, tax_code, percent, zone, business, line_kind, 'CAPEXOUTPUT', 'Taxable Goods'
from lookups.taxes where line_kind = '*';
update staging.magento__products set payload = jsonb_set(
    payload, '{custom_attributes}', '[{"attribute_code": "cost", "value": "1.50"}]' || (payload -> 'custom_attributes')
)
"""


# What the trade does not come by itself: companies, orders that replaced others, items of which the ledger keeps stock, goods that
# left, and a deposit with its prepayment, an overpayment and a document of a locked period for some orders.
RARER = """
update lookups.routes set re_date = case store_code when 'default' then 'draft' else 'next_open_day' end;
update staging.xero__organisations set payload = payload || '{"PeriodLockDate": "/Date(1790812800000+0000)/"}';
update staging.xero__items set payload = payload || '{"IsTrackedAsInventory": true, "QuantityOnHand": 7}'
where length(payload ->> 'Code') % 2 = 0;
update staging.magento__orders set payload = jsonb_set(payload, '{billing_address, company}', '"Acme Ltd"')
|| '{"customer_taxvat": "GB 123 4567 89"}' where id::int % 3 = 0;
delete from cdc.links where model = 'out_xero__invoices' and source_id::int % 6 = 0;
update staging.magento__orders
set payload = payload || '{"relation_parent_id": "1", "relation_parent_real_id": "000000001"}' where id = '4';
update staging.magento__orders
set payload = payload || '{"relation_child_id": "4", "relation_child_real_id": "000000004"}' where id::int % 5 = 2;
update staging.magento__orders set payload = jsonb_set(
    payload, '{extension_attributes, reward_points_balance}', '100', true
) where id::int % 4 = 1;
create temporary table early as
select
    links.source_id as order_id, links.target_id as invoice_id, invoices.payload -> 'Contact' as contact, links.source_id || '-pre' as pre,
    links.source_id || '-over' as over
from cdc.links
inner join staging.xero__invoices as invoices on invoices.connection = 'books' and links.target_id = invoices.id
where links.model = 'out_xero__invoices' and links.key like '%/1';
insert into staging.xero__bank_transactions (connection, id, payload, content_hash, version)
select 'books', pre, jsonb_build_object(
    'BankTransactionID', pre, 'Type', 'RECEIVE-PREPAYMENT', 'Status', 'AUTHORISED', 'Date', '/Date(1790899200000+0000)/', 'Total', 4,
    'Contact', contact, 'PrepaymentID', pre
), 'x', nextval('cdc.version') from early;
insert into staging.xero__prepayments (connection, id, payload, content_hash, version)
select 'books', pre, jsonb_build_object(
    'PrepaymentID', pre, 'Type', 'RECEIVE-PREPAYMENT', 'Status', 'AUTHORISED', 'Date', '/Date(1790899200000+0000)/', 'Total', 4,
    'RemainingCredit', 2, 'Contact', contact, 'Allocations', jsonb_build_array(jsonb_build_object(
        'Amount', 2, 'Date', '/Date(1790985600000+0000)/', 'Invoice', jsonb_build_object('InvoiceID', invoice_id)
    ))
), 'x', nextval('cdc.version') from early;
insert into staging.xero__overpayments (connection, id, payload, content_hash, version)
select 'books', over, jsonb_build_object(
    'OverpaymentID', over, 'Type', 'RECEIVE-OVERPAYMENT', 'Status', 'AUTHORISED', 'Date', '/Date(1790899200000+0000)/', 'Total', 5,
    'CurrencyCode', 'GBP', 'CurrencyRate', 1, 'RemainingCredit', 2, 'Contact', contact,
    'Payments', jsonb_build_array(jsonb_build_object('Amount', 1, 'Date', '/Date(1791072000000+0000)/')),
    'Allocations', jsonb_build_array(jsonb_build_object(
        'Amount', 2, 'Date', '/Date(1790985600000+0000)/', 'Invoice', jsonb_build_object('InvoiceID', invoice_id)
    ))
), 'x', nextval('cdc.version') from early;
update staging.xero__invoices as invoices set payload = payload || jsonb_build_object(
    'Prepayments', jsonb_build_array(jsonb_build_object('PrepaymentID', early.pre, 'AppliedAmount', 2)),
    'Overpayments', jsonb_build_array(jsonb_build_object('OverpaymentID', early.over, 'AppliedAmount', 2))
) from early where invoices.id = early.invoice_id and early.order_id::int % 2 = 1;
insert into cdc.links (connection, entity, key, model, source_connection, source_id, target_id, said, version)
select
    'books', 'bank_transactions', 'shop/order/' || order_id || '/deposit/1', 'out_xero__deposits', 'shop', order_id, pre,
    '{"LineItems": [{"UnitAmount": 4}]}', 1
from early where order_id::int % 2 = 1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """A session whose work is never committed, with the models in force, their rows and all mirrored records."""

    session: Session
    models: tuple[Watched, ...]
    before: Mapping[str, Rows]
    records: Mapping[str, Sequence[Record]]

    def readers(self, table: str) -> list[Watched]:
        """The models that read a staging table."""
        return [model for model in self.models if table in model.tables]


@pytest.fixture(scope="module")
def world(server_url: str, built: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with new_world(server_url, built, tmp_path_factory.mktemp("rules"), edition="commerce") as world:
        random_trade.play(world.stand, ORDERS, seed=SEED)
        world.first_run()
        with world.database.connect() as session:
            session.execute(RICHER)
            session.execute(RARER)
        yield world


@pytest.fixture(scope="module")
def mirrored(world: World) -> Iterator[Trade]:
    """All rows and records, looked at once; the session keeps the plans of the views."""
    with world.database.connect(direct=True, lease_seconds=600) as session:
        session.execute("set plan_cache_mode = force_generic_plan")
        models = edits.watched(session)
        yield Trade(
            session=session,
            models=models,
            before={model.name: edits.rows_of(session, model) for model in models},
            records=edits.records(session, edits.tables_of(models)),
        )


@pytest.fixture
def trade(mirrored: Trade) -> Iterator[Trade]:
    """Nothing of what a test does is committed."""
    with mirrored.session.transaction(force_rollback=True):
        edits.forget_changes(mirrored.session)
        edits.fanned_out(mirrored.session)
        yield mirrored


def test_every_change_of_any_table_is_named_by_a_rule_and_by_that_rule_alone(trade: Trade) -> None:
    """One record of the table moves to another's order, customer, code or name, one says other amounts and words, one goes; then
    all are as they were. Without the table's rules the same rows would be missed: the mutation that this test must find.
    """
    behind: list[str] = []
    unneeded: list[str] = []
    for table, records in trade.records.items():
        done = _all_kinds(records)
        with trade.session.transaction(force_rollback=True):
            edits.load(trade.session, done)
            changes = trade.session.execute("select * from cdc.changes").fetchall()
            seen = edits.effect(trade.session, trade.readers(table), trade.before)
            behind += [
                f"{model} does not follow {done}: {sorted(drivers)[:3]}"
                for model, drivers in seen.missed.items()
            ]
            # Nothing of this table leads to keys any more.
            bare = edits.named_without(trade.session, table, changes)
            unneeded += [
                f"{model}: {table}"
                for model, drivers in seen.changed.items()
                if drivers and not drivers - bare.named.get(model, frozenset()) and model not in bare.swept
            ]
            # They come back: what differed differs again.
            edits.forget_changes(trade.session)
            edits.load(trade.session, [edits.back(each) for each in records if _is_touched(each, done)])
            again = edits.Effect(
                changed=seen.changed, named=edits.fanned_out(trade.session), swept=edits.swept(trade.session)
            )
            behind += [
                f"{model} does not follow the return of {done}: {sorted(drivers)[:3]}"
                for model, drivers in again.missed.items()
            ]
    assert not behind, "\n".join(behind)
    assert not unneeded, unneeded


def test_a_record_that_is_taken_for_another_is_followed(trade: Trade) -> None:
    """Records take the code, order or customer of others, which stay as they are, and say other things than these: who looks for
    those by their code may now find them.
    """
    behind: list[str] = []
    for table, records in trade.records.items():
        done = [
            edit
            for record, taken in zip(records[0:40:2], records[1:40:2], strict=False)
            if (edit := edits.posing_as(taken, record))
        ]
        with trade.session.transaction(force_rollback=True):
            edits.load(trade.session, done)
            missed = edits.effect(trade.session, trade.readers(table), trade.before).missed
        behind += [
            f"{model} does not follow {done}: {sorted(drivers)[:3]}" for model, drivers in missed.items()
        ]
    assert not behind, "\n".join(behind)


def test_what_no_model_is_said_to_read_changes_no_row_that_is_not_named(trade: Trade) -> None:
    """Everything that may lead to no key is edited at once: what a model reads of it after all shows. A field that is read
    although the set says otherwise is found so: the mutation. An order's comment concerns only the model that reads its version.
    """
    session = trade.session
    done = [
        edit
        for table, records in trade.records.items()
        for record in records[:: max(1, len(records) // 3)]
        if (edit := edits.stirred_in(record, record.payload.keys() - edits.reads(session, table)))
    ]
    with session.transaction(force_rollback=True):
        edits.load(session, done)
        seen = edits.effect(session, trade.models, trade.before)
    assert not seen.missed, f"{done}: {seen.missed}"
    assert len({each.table for each in done}) > 10, done

    for table, field in (("magento__orders", "grand_total"), ("xero__invoices", "Status")):
        with session.transaction(force_rollback=True):
            edits.read_less(session, table, field)
            edits.load(session, _in_one_field(trade.records[table], field))
            assert edits.effect(session, trade.readers(table), trade.before).missed, field

    comments = _in_one_field(trade.records["magento__orders"], "status_histories")
    with session.transaction(force_rollback=True):
        edits.load(session, comments)
        assert comments
        assert set(edits.fanned_out(session)) <= {"out_magento__source_items"}


def test_a_changed_lookup_is_one_that_the_model_says_it_reads(trade: Trade) -> None:
    """A build marks the models of a changed lookup as sweep due: so their list must be whole."""
    names = [
        row["name"]
        for row in trade.session.execute(
            "select relname as name from pg_class where relnamespace = 'lookups'::regnamespace and relkind = 'r'"
        ).fetchall()
    ]
    unsaid = []
    for name in sorted(names):
        others = [model for model in trade.models if name not in model.lookups]
        with trade.session.transaction(force_rollback=True):
            trade.session.execute(f'delete from lookups."{name}"')
            unsaid += [
                f"{model.name} reads {name}"
                for model in others
                if edits.differing(trade.before[model.name], edits.rows_of(trade.session, model))
            ]
    assert not unsaid


def test_a_product_that_was_made_again_is_the_item_that_it_was(trade: Trade) -> None:
    """A shop deletes a product and makes it anew: another id, the same code. One row, and it says what the new one says, although
    only the old one was sold; before a sweep finds the old one gone as well as after it.
    """
    session = trade.session
    sold = session.execute(
        "select _source_id as code from outbound.out_xero__items where _skip is null order by 1 limit 1"
    ).fetchone()
    assert sold is not None
    old = next(each for each in trade.records["magento__products"] if each.payload["sku"] == sold["code"])
    new = replace(old, id="100001", payload={**old.payload, "id": 100001, "name": "Made again"})
    edits.load(session, [edits.back(new)])
    for _ in range(2):
        rows = session.execute(
            'select "Name" as name, _skip from outbound.out_xero__items where _source_id = %s',
            (sold["code"],),
        ).fetchall()
        assert rows == [{"name": "Made again", "_skip": None}]
        edits.load(session, [edits.gone(old)])
    assert not edits.effect(session, trade.readers("magento__products"), trade.before).missed


def test_an_invoice_of_a_guest_leads_to_the_customer_who_bought_first_with_that_e_mail(trade: Trade) -> None:
    """The contact is that customer's, although nothing of theirs is posted: the guest's invoice is what asks for it."""
    session = trade.session
    session.execute("update lookups.routes set draft_on_order = 'no', deposits = 'wait'")
    invoices = trade.records["magento__invoices"]
    first = next(each for each in trade.records["magento__orders"] if each.payload.get("customer_id"))
    customer = str(first.payload["customer_id"])
    # A later order of the same store that has an invoice.
    second = next(
        each
        for each in trade.records["magento__orders"]
        if int(each.id) > int(first.id) and each.payload["store_id"] == first.payload["store_id"] and _of(each, invoices)
    )  # fmt: skip
    guest = {
        **second.payload, "customer_id": None, "customer_is_guest": 1, "customer_email": first.payload["customer_email"],
    }  # fmt: skip
    posted = [*invoices, *trade.records["magento__credit_memos"]]
    session.execute("delete from cdc.links where source_id = any(%s)", ([first.id, second.id],))
    edits.load(session, [edits.back(replace(second, payload=guest))])
    edits.load(session, [edits.gone(each) for order in (first, second) for each in _of(order, posted)])
    session.execute("delete from staging.magento__invoices where deleted_at is not null")
    session.execute("delete from staging.magento__credit_memos where deleted_at is not null")
    edits.fanned_out(session)
    edits.forget_changes(session)
    models = [model for model in trade.models if model.name == "out_xero__contacts"]
    before = {model.name: edits.rows_of(session, model) for model in models}

    edits.load(session, [edits.back(_of(second, invoices)[0])])

    seen = edits.effect(session, models, before)
    assert seen.changed == {"out_xero__contacts": {("shop", customer)}}
    assert not seen.missed


def test_a_contact_that_a_document_goes_to_is_followed_however_it_came_by_it(trade: Trade) -> None:
    """The contact that an order has kept although it is somebody else's by now; and the survivor of a merged contact. Archived, each
    stops the next document of the order.
    """
    session = trade.session
    found = session.execute(
        "select invoice.source_id as order_id, contact.target_id as contact from cdc.links as invoice inner join cdc.links as contact"
        " on contact.key = invoice.said #>> '{Contact,ContactID,$linked,key}' and contact.entity = 'contacts'"
        " where invoice.entity = 'invoices' and invoice.key ~ '/2$' and contact.target_id is not null"
        " order by invoice.key limit 1"
    ).fetchone()
    assert found is not None
    session.execute(
        "update cdc.links set target_id = null where entity = 'invoices' and key = %s",
        (f"shop/order/{found['order_id']}/2",),
    )
    contacts = {each.id: each for each in trade.records["xero__contacts"]}
    kept = contacts[found["contact"]]
    survivor = next(
        each for each in contacts.values() if each is not kept and each.payload["ContactStatus"] == "ACTIVE"
    )
    order = next(each for each in trade.records["magento__orders"] if each.id == found["order_id"])
    moved = {**order.payload, "customer_email": "somebody@else.example", "customer_id": None}
    models = [model for model in trade.models if model.name == "out_xero__invoices"]
    for payload, followed, archived in ((moved, None, kept), (order.payload, survivor.id, survivor)):
        edits.load(session, [edits.back(replace(order, payload=payload))])
        session.execute("update cdc.links set followed_id = %s where target_id = %s", (followed, kept.id))
        edits.fanned_out(session)
        edits.forget_changes(session)
        before = {model.name: edits.rows_of(session, model) for model in models}

        edits.load(session, [edits.changed(archived, ("ContactStatus",), "ARCHIVED")])

        seen = edits.effect(session, models, before)
        assert ("shop", order.id) in seen.changed["out_xero__invoices"]
        assert not seen.missed


def test_a_new_part_of_a_payment_takes_a_number_that_none_has(trade: Trade) -> None:
    """Whichever parts were taken out again: a key that stands twice would stop every diff of payments."""
    session = trade.session
    paid = session.execute(
        "select key, source_id, connection, (said ->> 'Amount')::numeric as amount from cdc.links"
        " where model = 'out_xero__payments' and key ~ '/payment/1$' and target_id is not null order by key limit 1"
    ).fetchone()
    assert paid is not None
    for number in (2, 3):
        session.execute(
            "insert into cdc.links (connection, entity, key, model, source_connection, source_id, target_id, said)"
            " values (%s, 'payments', %s, 'out_xero__payments', 'shop', %s, %s, %s)",
            (
                paid["connection"], f"{paid['key']}/{number}", paid["source_id"], f"part {number}",
                Jsonb({"Amount": 1}),
            ),
        )  # fmt: skip
    for gone in ("", "/2", "/3"):
        session.execute(
            "update cdc.links set is_gone = key = %s where key like %s",
            (paid["key"] + gone, paid["key"] + "%"),
        )
        session.execute(
            "update cdc.links set said = said || %s where key = %s",
            (Jsonb({"Amount": paid["amount"] - 3}), paid["key"]),
        )
        rows = session.execute(
            "select _key, _total from outbound.out_xero__payments where _source_id = %s and _key ~ %s order by 1",
            (paid["source_id"], f"^{paid['key']}(/[0-9]+)?$"),
        ).fetchall()
        assert [row["_key"].removeprefix(paid["key"]) for row in rows] == ["", "/2", "/3"]
        assert sum(row["_total"] for row in rows) == paid["amount"]


def test_a_new_deposit_takes_a_number_that_none_has(trade: Trade) -> None:
    """The same for money that came before its invoice: all that is paid of an order without invoices."""
    session = trade.session
    key = "shop/order/7/deposit"
    order = next(each for each in trade.records["magento__orders"] if each.id == "7")
    edits.load(session, [edits.gone(each) for each in _of(order, trade.records["magento__invoices"])])
    session.execute(
        "insert into cdc.links (connection, entity, key, model, source_connection, source_id, target_id, said)"
        " values ('books', 'bank_transactions', %s, 'out_xero__deposits', 'shop', '7', 'second', %s)",
        (f"{key}/2", Jsonb({"LineItems": [{"UnitAmount": 1}]})),
    )
    for gone, expected in ((None, ["/1", "/2", "/3"]), ("/1", ["/1", "/2"]), ("/2", ["/1", "/2"])):
        session.execute(
            "update cdc.links set is_gone = key = %s where key like %s",
            (f"{key}{gone}", f"{key}/%"),
        )
        rows = session.execute(
            "select _key, _total from outbound.out_xero__deposits where _source_id = '7' order by 1"
        ).fetchall()
        assert [row["_key"].removeprefix(key) for row in rows] == expected
        assert sum(row["_total"] for row in rows) == order.payload["total_paid"]


def test_a_company_is_followed_by_a_number_that_is_the_hash_of_its_key(trade: Trade) -> None:
    """Keys are longer than Xero's number of a contact may be; nothing is linked yet, so only the number can tell."""
    session = trade.session
    company = session.execute(
        "select _source_id as id, _key as key from outbound.out_xero__company_contacts order by 1 limit 1"
    ).fetchone()
    assert company is not None
    session.execute("delete from cdc.links where entity = 'contacts' and key = %s", (company["key"],))
    number = f"shop/{hashlib.md5(company['key'].encode(), usedforsecurity=False).hexdigest()}"
    contact = trade.records["xero__contacts"][0]
    session.execute("delete from cdc.links where entity = 'contacts' and target_id = %s", (contact.id,))
    edits.forget_changes(session)

    edits.load(session, [edits.back(replace(contact, payload={**contact.payload, "ContactNumber": number}))])

    assert ("shop", company["id"]) in edits.fanned_out(session)["out_xero__company_contacts"]


def test_random_edits_are_all_followed(trade: Trade) -> None:
    """Several records at once, of any tables: one value each, or a move, or gone; some of them after others, so that a rule may
    not lean on what came together (a line and the order it is of).
    """
    tables = sorted(table for table, records in trade.records.items() if records)

    @settings(
        max_examples=EXAMPLES,
        derandomize="TIEOUT_TEST_EDITS" not in os.environ,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def followed(data: st.DataObject) -> None:
        earlier = [_any_edit(data, trade, tables) for _ in range(data.draw(st.integers(0, 2)))]
        done = [_any_edit(data, trade, tables) for _ in range(data.draw(st.integers(1, 4)))]
        touched = {each.table for each in done}
        models = [model for model in trade.models if model.tables & touched]
        with trade.session.transaction(force_rollback=True):
            before = trade.before
            if earlier:
                edits.load(trade.session, earlier)
                edits.fanned_out(trade.session)
                edits.forget_changes(trade.session)
                before = {model.name: edits.rows_of(trade.session, model) for model in models}
            edits.load(trade.session, done)
            missed = edits.effect(trade.session, models, before).missed
        assert not missed, f"{done} after {earlier}: {missed}"

    followed()


def test_the_diff_of_what_changed_finds_what_a_full_one_finds(world: World) -> None:
    """The same through the engine: open entries and drift are the same after the one as after the other."""
    chosen = Settings.load(world.settings_file, environment=False)
    plenty = replace(chosen, limits=Limits(creates=10**6, updates=10**6))
    with world.warm_sessions():
        differ.diff(world.database, plenty, full=True, raises=False)
        with world.database.connect() as session:
            mirrored = edits.records(session, edits.tables_of(edits.watched(session)))
            edits.load(session, [each for records in mirrored.values() for each in _all_kinds(records)])
        differ.diff(world.database, plenty, raises=False)
        incremental = _open(world)
        differ.diff(world.database, plenty, full=True, raises=False)
    assert incremental == _open(world)
    assert len(incremental) > 10


def _open(world: World) -> list[dict[str, Any]]:
    entries = world.rows(
        "select connection, entity, key, operation, payload, state, cause, reason from cdc.outbox order by 1, 2, 3"
    )
    return entries + world.rows(
        "select connection, entity, key, desired, fields from cdc.drift order by 1, 2, 3"
    )


def _all_kinds(records: Sequence[Record]) -> list[Edit]:
    """Three records: one moves, one is stirred, one goes; of fewer the first only."""
    if not records:
        return []
    first, middle, last = records[0], records[len(records) // 2], records[-1]
    made = [edits.moved(first, last)]
    if middle is not first:
        made.append(edits.stirred(middle))
    if last is not middle:
        made.append(edits.gone(last))
    return [each for each in made if each is not None] or [edits.stirred(first)]


def _of(order: Record, documents: Sequence[Record]) -> list[Record]:
    return [each for each in documents if str(each.payload["order_id"]) == order.id]


def _in_one_field(records: Sequence[Record], field: str) -> list[Edit]:
    return [edit for record in records if (edit := edits.stirred_in(record, [field]))]


def _any_edit(data: st.DataObject, trade: Trade, tables: Sequence[str]) -> Edit:
    records = trade.records[data.draw(st.sampled_from(tables))]
    record, donor = data.draw(st.sampled_from(records)), data.draw(st.sampled_from(records))
    kind = data.draw(st.sampled_from(["move", "pose", "change", "change", "gone"]))
    if kind == "gone":
        return edits.gone(record)
    if kind == "move" and (made := edits.moved(record, donor)):
        return made
    if kind == "pose" and (made := edits.posing_as(donor, record)):
        return made
    path, held = data.draw(st.sampled_from(list(edits.leaves(record.payload))))
    return edits.changed(record, path, data.draw(st.sampled_from([edits.other(held), None, "?"])))


def _is_touched(record: Record, done: Sequence[Edit]) -> bool:
    return any((each.connection, each.id) == (record.connection, record.id) for each in done)
