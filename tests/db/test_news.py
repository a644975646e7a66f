"""A link that is made to a record that was mirrored already is a change of that record: what reads it through its link looks again."""

from __future__ import annotations

from tests.db.fix_engine import Engine, engine

__all__ = ["engine"]
CONTACT = "shop/customer/7"


def news(engine: Engine) -> set[tuple[str, str]]:
    """What waits to be followed in the ledger, by stream and id."""
    return {
        (row["stream"], row["id"])
        for row in engine.rows("select stream, id from cdc.changes where connection = 'books'")
    }


def test_a_contact_that_was_there_before_us_is_news_when_it_is_linked(engine: Engine) -> None:
    contact_id = engine.target.add("contacts", Name="J. Doe", EmailAddress="7@example.com")
    engine.customer()
    engine.load()
    engine.diff()
    assert not news(engine)

    assert engine.drain().adopted == 1

    assert news(engine) == {("contacts", contact_id)}


def test_what_a_load_found_before_the_answer_came_is_news_when_it_is_linked(engine: Engine) -> None:
    def overtake() -> None:
        engine.target.during_answer = None
        engine.load()
        engine.diff()
        found.append(engine.link(CONTACT)["target_id"])

    found: list[str | None] = []
    engine.customer()
    engine.diff()
    engine.target.during_answer = overtake

    engine.drain()

    (contact_id,) = engine.target.records["contacts"]
    assert (found, engine.link(CONTACT)["target_id"]) == ([None], contact_id)
    assert news(engine) == {("contacts", contact_id)}


def test_a_record_that_our_own_write_puts_into_the_mirror_is_told_once(engine: Engine) -> None:
    engine.customer()
    engine.sync()

    assert engine.rows("select stream from cdc.changes where connection = 'books'") == [
        {"stream": "contacts"}
    ]
