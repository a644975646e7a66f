"""After a restore: what the ledger has is linked again, what it lacks waits for a person, and nothing is there twice."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from cdc import desk
from cdc.desk import Chosen
from cdc.rebuild import Compared
from cdc.recover import Recovery
from tests.db.fix_engine import Engine, engine
from tests.db.fix_recovery import EMPTY, copy_of, forget, moved_to, recovered
from tieout.errors import CredentialsError, RecoveryNeeded

__all__ = ["engine"]


def count(engine: Engine) -> dict[str, int]:
    """Documents in the ledger."""
    return {entity: len(records) for entity, records in engine.target.records.items()}


def books(done: Recovery) -> Compared:
    """What became of the ledger."""
    return next(each for each in done.targets if each.connection == "books")


@pytest.fixture
def late(engine: Engine) -> Iterator[Engine]:
    """Yesterday's state under another name, after a day on which more was written, changed and voided."""
    engine.customer("7")
    engine.order("1", paid=Decimal("12.00"))
    engine.order("2", reference="first")
    engine.sync()
    with copy_of(engine) as database:
        engine.customer("8")
        engine.order("3", paid=Decimal("12.00"))
        engine.order("2", reference="second")
        engine.order("1", paid=Decimal("12.00"), unpaid="the money went back")
        engine.sync()
        engine.sync()
        yesterday = moved_to(engine, database)
        yesterday.customer("8")
        yesterday.order("3", paid=Decimal("12.00"))
        yesterday.order("2", reference="second")
        yesterday.order("1", paid=Decimal("12.00"), unpaid="the money went back")
        yield yesterday
        yesterday.connection.close()


def test_everything_written_since_is_linked_again_and_nothing_is_doubled(late: Engine) -> None:
    before, writes = count(late), len(late.target.writes)
    late.load()
    late.diff()
    stopped = late.drain()

    done = recovered(late)
    # The payment that was taken back is as the ledger has it: removed, and nothing is open for it.
    late.sync()
    drained = late.sync()

    assert isinstance(stopped.errors[0], RecoveryNeeded)
    assert before == {"contacts": 2, "invoices": 3, "payments": 2}
    assert count(late) == before
    assert len(late.target.writes) == writes
    compared = books(done)
    assert (compared.connection, compared.linked, compared.agreed, compared.held, compared.twice) == (
        "books",
        3,
        2,
        0,
        0,
    )
    assert (late.states(), drained.errors) == ({}, ())
    assert {row["key"] for row in late.rows("select key from cdc.links where target_id is not null")} == {
        *("shop/customer/7", "shop/customer/8", "shop/order/1/1", "shop/order/2/1", "shop/order/3/1"),
        *("shop/order/1/payment/1", "shop/order/3/payment/1"),
    }


def test_what_the_ledger_does_not_show_waits_for_a_yes(late: Engine) -> None:
    late.customer("9")
    late.order("4")

    recovered(late)
    drained = late.sync()
    states = late.states()
    desk.approve(late.connection, Chosen(cause="after recovery"), by="jane", writers=late.writers)
    approved = late.sync()

    assert (drained.calls, drained.errors) == (0, ())
    assert states == {"shop/customer/9": "guard", "shop/order/4/1": "guard"}
    assert approved.applied == 2
    assert count(late)["invoices"] == 4


def test_a_record_that_stands_there_twice_is_shown_to_a_person(late: Engine) -> None:
    [twin] = [each for each in late.target.records["payments"].values() if "/3/" in each["Reference"]]
    late.target.add("payments", **{name: value for name, value in twin.items() if name != "PaymentID"})

    done = recovered(late)

    assert books(done).twice == 1
    entry = late.entry("shop/order/3/payment/1")
    assert entry is not None
    assert (entry["state"], entry["cause"]) == ("held", "made twice")


def test_a_number_that_somebody_else_used_is_never_taken_for_ours(late: Engine) -> None:
    [ours] = [
        each for each in late.target.records["invoices"].values() if each["InvoiceNumber"].endswith("3")
    ]
    ours["LineItems"][0]["LineAmount"] = Decimal("99.00")

    recovered(late)
    late.sync()

    assert late.link("shop/order/3/1")["target_id"] is None
    assert late.states()["shop/order/3/1"] == "guard"


def test_a_recovery_that_is_killed_anywhere_is_run_again(
    late: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = count(late)
    places = ["cdc.recover.diff", "cdc.rebuild._missing", "cdc.rebuild.Rebuild.release"]
    for place in places:
        with monkeypatch.context() as patched:

            def killed(*_arguments: object, **_options: object) -> Any:
                raise KeyboardInterrupt

            patched.setattr(place, killed)
            with pytest.raises(KeyboardInterrupt):
                recovered(late)
        stopped = late.drain()
        assert isinstance(stopped.errors[0], RecoveryNeeded), place
        assert "tieout recover" in stopped.errors[0].cure

    done = recovered(late)
    late.sync()

    assert books(done).error is None
    assert (count(late), late.states()) == (before, {})
    # It was taken over once: the later runs went on.
    assert len(late.rows("select * from cdc.recoveries")) == 1


def test_a_login_that_was_replaced_since_is_said_and_recovery_goes_on_after_it(
    late: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_engine: Engine) -> None:
        raise CredentialsError("invalid_grant")

    with monkeypatch.context() as patched:
        patched.setattr(Engine, "load", refused)
        done = recovered(late)

    error = books(done).error
    assert error is not None
    assert "tieout connect books" in error.cure
    assert isinstance(late.drain().errors[0], RecoveryNeeded)
    assert books(recovered(late)).error is None
    assert late.drain().errors == ()


def test_the_other_machines_come_along_and_the_former_database_writes_no_more(
    late: Engine, engine: Engine
) -> None:
    recovered(late)
    engine.customer("10")
    engine.diff()

    former = engine.drain()

    assert late.drain().errors == ()
    assert "Another database took over" in str(former.errors[0])
    # A recovery of the former one turns the tables: a person says which one goes on.
    recovered(engine)
    desk.approve(engine.connection, Chosen(cause="after recovery"), by="jane", writers=engine.writers)
    assert engine.sync().applied == 1
    assert "took over" in str(late.drain().errors[0])


def test_an_empty_database_before_a_full_ledger_is_linked_and_not_doubled(engine: Engine) -> None:
    engine.customer("7")
    engine.order("1", paid=Decimal("12.00"))
    engine.sync()
    before, writes = count(engine), len(engine.target.writes)
    forget(engine, *EMPTY, "staging.xero__contacts", "staging.xero__invoices", "staging.xero__payments")
    engine.connection.execute("update cdc.models set is_new = true")

    done = recovered(engine)
    drained = engine.sync()

    assert (books(done).linked, drained.errors, engine.states()) == (3, (), {})
    assert (count(engine), len(engine.target.writes)) == (before, writes)


def test_recovering_a_database_that_is_in_order_does_nothing_unless_it_is_asked_for(engine: Engine) -> None:
    engine.customer("7")
    engine.sync()

    nothing = recovered(engine)
    anyway = recovered(engine, anyway=True)

    assert (nothing.because, nothing.targets) == (None, ())
    assert anyway.because == "jane asked for it."
    assert engine.drain().errors == ()
