"""Each check refuses what it must, with the file and the cure; one real build is read and tampered with for
all of them.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import psycopg
import pytest

from cdc.build import _columns, _proven, make
from cdc.build_checks import Checked, check_plans, check_set
from cdc.lineage import ModelSet, read_set
from cdc.once import Once, is_proven
from cdc.outbound import Column
from cdc.project import Project, assemble
from tests.db.fix_build import Place, copied
from tieout.errors import BuildError

INVOICES = "model.tiny.out_xero__invoices"
LINES = "model.tiny.out_xero__invoice_lines"
ORDERS = "model.tiny.orders"


@dataclass
class Made:
    """A set under the prefix `tried__`, and what it was read from; tests change the copies."""

    manifest: dict[str, Any]
    columns: dict[tuple[str, str], tuple[Column, ...]]
    project: Project
    session: psycopg.Connection[dict[str, Any]]

    def read(self) -> ModelSet:
        return read_set(self.manifest, self.columns, prefix="tried", project=self.project)

    def check(self) -> None:
        check_set(Checked(models=self.read(), project=self.project, prefix="tried", session=self.session))

    def meta(self, node: str) -> dict[str, Any]:
        found: dict[str, Any] = self.manifest["nodes"][node]["config"]["meta"]["tieout"]
        return found

    def rename_column(self, relation: tuple[str, str], old: str, new: str) -> None:
        self.columns[relation] = tuple(
            replace(column, name=new) if column.name == old else column for column in self.columns[relation]
        )

    def retype_column(self, relation: tuple[str, str], name: str, new: str) -> None:
        self.columns[relation] = tuple(
            replace(column, type=new) if column.name == name else column for column in self.columns[relation]
        )

    def sql(self, node: str, old: str, new: str) -> None:
        text = self.manifest["nodes"][node]["compiled_code"]
        assert old in text
        self.manifest["nodes"][node]["compiled_code"] = text.replace(old, new)

    def read_orders(self, node: str, reads: str) -> None:
        """Let a model read the orders (`{orders}`) so."""
        text = self.manifest["nodes"][node]["compiled_code"]
        found = re.search(r'from ("[^"]+"[.]"tried__canonical"[.]"orders") as orders.*', text, re.DOTALL)
        assert found is not None
        self.manifest["nodes"][node]["compiled_code"] = text[: found.start()] + reads.format(orders=found[1])

    @property
    def once(self) -> Once | None:
        return next(model.once for model in self.read().outbound if model.name == "out_xero__invoices")

    def is_proven(self) -> bool:
        assert self.once is not None
        return is_proven(self.session, self.once, prefix="tried", layers=self.read().layers)


@pytest.fixture(scope="session")
def tried(
    server_url: str, built_template: Place, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Place, Made]]:
    with (
        copied(server_url, built_template, tmp_path_factory.mktemp("tried")) as place,
        place.database.connect() as session,
    ):
        folder = place.settings.data_dir
        project = assemble(place.settings, folder / "project")
        ran, models = make(project, place.database, session, prefix="tried", work_folder=folder)
        yield (
            place,
            Made(
                manifest=json.loads(json.dumps(ran.manifest)),
                columns=dict(models.columns),
                project=project,
                session=session,
            ),
        )


@pytest.fixture
def made(tried: tuple[Place, Made]) -> Made:
    _, original = tried
    return Made(
        manifest=copy.deepcopy(original.manifest),
        columns=dict(original.columns),
        project=original.project,
        session=original.session,
    )


def _refused(made: Made) -> BuildError:
    with pytest.raises(BuildError) as caught:
        made.check()
    return caught.value


def test_the_set_as_it_is_passes(made: Made) -> None:
    made.check()


def test_columns_are_those_that_the_database_shows(made: Made) -> None:
    assert _columns(made.session, "tried") == made.columns


def test_a_misspelt_field_is_refused_with_the_nearest_name(made: Made) -> None:
    made.rename_column(("outbound", "out_xero__invoices"), "InvoiceNumber", "InvoiceNumbr")

    error = _refused(made)

    assert "models/outbound/out_xero__invoices.sql" in str(error)
    assert "did you mean 'InvoiceNumber'" in str(error)


def test_a_misspelt_field_of_a_line_is_refused_too(made: Made) -> None:
    made.rename_column(("outbound", "out_xero__invoice_lines"), "AccountCode", "AcountCode")

    assert "did you mean 'AccountCode'" in str(_refused(made))


def test_a_field_that_the_target_computes_is_refused(made: Made) -> None:
    made.rename_column(("outbound", "out_xero__invoices"), "Date", "AmountDue")

    assert "cannot be sent" in str(_refused(made))


def test_an_entity_that_no_writer_knows_is_refused(made: Made) -> None:
    made.meta(INVOICES)["entity"] = "invoice"

    assert "nothing is known of 'invoice' at xero" in str(_refused(made))


@pytest.mark.parametrize("column", ["_key", "_source_id", "_gone", "_problems", "_expect"])
def test_a_model_without_a_control_column_is_refused(made: Made, column: str) -> None:
    relation = ("outbound", "out_xero__invoices")
    made.columns[relation] = tuple(each for each in made.columns[relation] if each.name != column)

    assert f"has no column {column}" in str(_refused(made))


def test_a_total_that_would_be_rounded_is_refused(made: Made) -> None:
    made.retype_column(("outbound", "out_xero__invoices"), "_total", "numeric(18,2)")

    assert "is numeric(18,2), it must be numeric" in str(_refused(made))


def test_a_control_column_that_nobody_knows_is_refused(made: Made) -> None:
    made.rename_column(("outbound", "out_xero__invoices"), "Date", "_skips")

    assert "did you mean _skip?" in str(_refused(made))


def test_a_layer_without_problems_is_refused(made: Made) -> None:
    made.rename_column(("canonical", "orders"), "_problems", "problems")

    error = _refused(made)

    assert "models/canonical/orders.sql: orders has no column _problems" in str(error)


def test_a_model_may_say_why_it_has_no_problems(made: Made) -> None:
    made.rename_column(("canonical", "orders"), "_problems", "problems")
    made.manifest["nodes"][ORDERS]["config"]["meta"] = {"tieout": {"problems": "none: a calendar"}}

    made.check()


def test_problems_that_are_not_carried_on_are_refused(made: Made) -> None:
    made.sql(INVOICES, "orders._problems", "null::jsonb as _problems")

    assert "drops the _problems of orders" in str(_refused(made))


def test_a_staging_table_without_a_rule_is_refused_with_the_line_to_add(made: Made) -> None:
    made.meta(INVOICES)["dirty"] = {}

    error = _refused(made)

    assert "reads staging.magento__orders" in str(error)
    assert "`magento__orders: {column: …}`" in error.cure


def test_a_table_that_only_the_lines_read_needs_a_rule_too(made: Made) -> None:
    made.manifest["nodes"][LINES]["depends_on"]["nodes"].append("source.tiny.staging.magento__invoices")

    assert "out_xero__invoices reads staging.magento__invoices" in str(_refused(made))


@pytest.mark.parametrize(
    ("table", "rule", "message"),
    [
        ("magento__invoices", {"column": "orderid"}, "did you mean 'order_id'"),
        ("magento__invoices", "self", "`self` is for the driver alone"),
        ("magento__invoces", "sweep", "did you mean magento__invoices"),
        ("xero__accounts", {"link": "payments"}, "no outbound model makes the entity 'payments'"),
        ("magento__products", {"sql": "select id from changed"}, "source_connection does not exist"),
        ("magento__products", {"sql": "select 1 as source_connection, from"}, "syntax error"),
    ],
)
def test_a_rule_that_cannot_work_is_refused(made: Made, table: str, rule: Any, message: str) -> None:
    made.meta(INVOICES)["dirty"][table] = rule

    assert message in str(_refused(made))


def test_a_rule_in_sql_may_read_the_models_by_their_plain_names(made: Made) -> None:
    made.meta(INVOICES)["dirty"]["magento__products"] = {
        "sql": "select orders.connection as source_connection, orders.order_id as source_id "
        "from canonical.orders inner join changed on orders.connection = changed.connection "
        "where changed.keys ->> 'sku' = orders.increment_id"
    }

    made.check()


def test_a_rule_that_says_two_things_is_refused(made: Made) -> None:
    made.meta(INVOICES)["dirty"]["magento__products"] = {"column": "sku", "link": "items"}

    assert "exactly one of" in str(_refused(made))


def test_a_setting_that_does_not_exist_is_refused(made: Made) -> None:
    made.meta(INVOICES)["amend"] = "open"

    error = _refused(made)

    assert "amend" in str(error)
    assert "'open_only'" in str(error)


def test_models_that_refer_in_a_circle_are_refused(made: Made) -> None:
    made.sql(
        "model.tiny.out_xero__contacts",
        "'Buyer '",
        "jsonb_build_object('entity', 'invoices', 'key', '1') ->> 'key'",
    )

    assert "out_xero__contacts refers to invoices" in str(_refused(made))


def test_a_reference_to_nothing_is_refused(made: Made) -> None:
    made.sql(INVOICES, "'entity', 'contacts'", "'entity', 'contact'")

    assert "refers to 'contact', but no outbound model makes that entity" in str(_refused(made))


@pytest.mark.parametrize(
    "expression",
    [
        "now()",
        "current_date",
        "CURRENT_TIMESTAMP",
        "random()",
        "gen_random_uuid()",
        "current_setting('x')",
        "'today'::date",
    ],
)
def test_what_changes_without_a_change_is_refused_in_every_layer(made: Made, expression: str) -> None:
    made.sql(ORDERS, "orders.increment_id", f"orders.increment_id, {expression} as asked")

    assert "would change although no record did" in str(_refused(made))


@pytest.mark.parametrize("expression", ["orders.now", "'now() is the time'", "orders.user_id", "known(1)"])
def test_words_that_only_look_like_a_clock_pass(made: Made, expression: str) -> None:
    made.sql(ORDERS, "orders.increment_id", f"orders.increment_id, {expression} as asked")

    made.check()


def test_lookups_that_are_not_text_are_refused(made: Made) -> None:
    made.retype_column(("lookups", "accounts"), "account_code", "integer")

    assert "account_code of the lookup accounts became integer" in str(_refused(made))


def test_lines_that_do_not_exist_are_refused(made: Made) -> None:
    made.meta(INVOICES)["lines"] = {"LineItems": "out_xero__lines"}

    assert "there is no such model" in str(_refused(made))


def test_an_outbound_model_that_nobody_sends_is_refused(made: Made) -> None:
    made.meta(INVOICES)["lines"] = {}

    assert "out_xero__invoice_lines has no `meta.tieout`" in str(_refused(made))


def test_a_mart_whose_key_is_no_column_is_refused(made: Made) -> None:
    made.meta("model.tiny.sales")["unique_key"] = ["connection", "orderid"]

    assert "did you mean order_id?" in str(_refused(made))


def test_a_view_that_reads_a_large_table_for_one_record_is_refused(
    tried: tuple[Place, Made], made: Made
) -> None:
    place, _ = tried
    models = made.read()
    with place.database.connect() as session, session.transaction(force_rollback=True):
        session.execute(
            "insert into staging.magento__orders (connection, id, payload, content_hash, version) "
            "select 'shop', 'n' || number, '{}', 'h', number from generate_series(1, 10001) as number"
        )
        session.execute("analyze staging.magento__orders")
        checked = Checked(models=models, project=made.project, prefix="tried", session=session)

        check_plans(checked)

        session.execute("alter schema tried__outbound rename to slow__outbound")
        session.execute("alter schema tried__marts_live rename to slow__marts_live")
        session.execute(
            "create or replace view slow__outbound.out_xero__invoice_lines as "
            "select connection::text as _source_connection, (id || '')::text as _source_id, "
            "''::text as _key, ''::text as _line, 1 as _line_order, null::jsonb as _problems, "
            """''::text as "Description", 1::numeric as "Quantity", 1::numeric as "UnitAmount", """
            """''::text as "AccountCode" """
            "from staging.magento__orders"
        )
        with pytest.raises(BuildError) as caught:
            check_plans(replace(checked, prefix="slow"))

    assert "out_xero__invoice_lines would read all" in str(caught.value)
    assert "staging.magento__orders" in str(caught.value)


ONE_ORDER = {"model": "orders", "by": ["connection", "order_id"], "only": {"order_state": "new"}}


@pytest.fixture
def once(made: Made) -> Made:
    """Header and lines both read the new orders alone."""
    made.meta(INVOICES)["once"] = ONE_ORDER
    for node in (INVOICES, LINES):
        made.read_orders(node, "from {orders} as orders where orders.order_state = 'new'")
    return made


def test_what_header_and_lines_read_for_their_record_alone_is_worked_out_once(once: Made) -> None:
    assert once.is_proven()


def test_what_is_not_named_in_the_yml_is_worked_out_for_each(made: Made) -> None:
    assert made.once is None


@pytest.mark.parametrize(
    "reads",
    [
        pytest.param("from {orders} as orders", id="other rows too"),
        pytest.param(
            "from {orders} as orders where orders.order_state = 'new' or orders.total > 0",
            id="one condition or another",
        ),
        pytest.param(
            "from (select * from {orders} where order_state = 'new' limit 5) as orders", id="the first of all"
        ),
        pytest.param(
            "from (select *, sum(total) over (partition by increment_id) from {orders} where order_state = 'new') as orders",
            id="a window over others",
        ),
        pytest.param(
            "from {orders} as orders where orders.order_state = 'new' and exists (select 1 from {orders} as other"
            " where other.increment_id = orders.increment_id and other.order_id <> orders.order_id)",
            id="another order of the same number",
        ),
        pytest.param(
            "from {orders} as orders left join {orders} as other on orders.total = other.total and other.connection = 'shop'"
            " where orders.order_state = 'new'",
            id="one of two readings",
        ),
        pytest.param(
            "from {orders} as orders where orders.order_state = 'new' and orders.order_state = 'old'"
            " union all select orders.* from {orders} as orders where connection = 'shop'",
            id="no longer SQL",
        ),
    ],
)
@pytest.mark.parametrize("node", [INVOICES, LINES], ids=["header", "lines"])
def test_what_reads_more_than_its_own_record_is_worked_out_for_each(
    once: Made, node: str, reads: str
) -> None:
    once.read_orders(node, reads)

    assert not once.is_proven()


def test_a_build_says_what_it_does_not_work_out_once(once: Made) -> None:
    once.read_orders(LINES, "from {orders} as orders")

    models, told = _proven(once.session, once.read(), "tried")

    assert [model.once for model in models.outbound] == [None, None]
    assert told == [
        "out_xero__invoices and its lines do not read orders for their own record alone, so the diff works it out twice, as if "
        "the yml did not say `once`."
    ]


def test_a_model_that_no_longer_reads_it_is_worked_out_for_itself(once: Made) -> None:
    once.read_orders(
        LINES, "from (values ('shop', '1', 1, '200', null::jsonb)) as orders (connection, order_id, total)"
    )

    assert once.once is None


def test_a_model_between_is_taken_into_the_text(once: Made) -> None:
    once.meta(INVOICES)["once"] = {**ONE_ORDER, "model": "stg_magento__orders"}

    assert once.is_proven()
