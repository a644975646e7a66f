"""The calendar date of an instant, at both changes of the year and in several zones, whatever the zone of the session."""

from __future__ import annotations

from datetime import date
from typing import Any

import psycopg
import pytest
from jinja2 import Environment

from tieout.settings import package_root

Session = psycopg.Connection[dict[str, Any]]
MACROS = (package_root() / "sql" / "macros" / "casts.sql").read_text(encoding="utf-8")


def dated(connection: Session, instant: str, zone: str) -> date | None:
    template = Environment(autoescape=False).from_string(
        MACROS + "select {{ business_date('given.instant', 'given.zone') }} as day"
        " from (select %(instant)s::timestamptz as instant, %(zone)s::text as zone offset 0) as given"
    )
    row = connection.execute(template.render(), {"instant": instant, "zone": zone}).fetchone()
    assert row is not None
    found: date | None = row["day"]
    return found


@pytest.mark.parametrize(
    ("zone", "instant", "day"),
    [
        # Spring forward on 2026-03-29 at 01:00 UTC, back on 2026-10-25.
        ("Europe/London", "2026-03-28T23:30Z", "2026-03-28"),
        ("Europe/London", "2026-03-29T00:59Z", "2026-03-29"),
        ("Europe/London", "2026-03-29T23:30Z", "2026-03-30"),
        ("Europe/London", "2026-10-24T23:30Z", "2026-10-25"),
        ("Europe/London", "2026-10-25T23:30Z", "2026-10-25"),
        # 2026-03-08 and 2026-11-01.
        ("America/New_York", "2026-03-08T04:30Z", "2026-03-07"),
        ("America/New_York", "2026-03-09T03:59Z", "2026-03-08"),
        ("America/New_York", "2026-03-09T04:00Z", "2026-03-09"),
        ("America/New_York", "2026-11-01T04:00Z", "2026-11-01"),
        ("America/New_York", "2026-11-02T04:30Z", "2026-11-01"),
        # The other way round in the south: 2026-04-05 back, 2026-10-04 forward.
        ("Australia/Sydney", "2026-04-04T13:30Z", "2026-04-05"),
        ("Australia/Sydney", "2026-04-05T13:30Z", "2026-04-05"),
        ("Australia/Sydney", "2026-10-03T13:30Z", "2026-10-03"),
        ("Australia/Sydney", "2026-10-04T13:30Z", "2026-10-05"),
        ("Asia/Kathmandu", "2026-01-01T18:14Z", "2026-01-01"),
        ("Asia/Kathmandu", "2026-01-01T18:15Z", "2026-01-02"),
        ("UTC", "2026-12-31T23:59:59.999Z", "2026-12-31"),
    ],
)
def test_an_instant_has_the_date_of_its_zone_at_both_changes_of_the_year(
    connection: Session, zone: str, instant: str, day: str
) -> None:
    found = set()
    for own in ("UTC", "Pacific/Auckland", "America/Los_Angeles"):
        connection.execute("select set_config('timezone', %s, false)", (own,))
        found.add(dated(connection, instant, zone))

    assert found == {date.fromisoformat(day)}


@pytest.mark.parametrize("zone", ["Mars/Olympus", "+02", "CEST", "Europe", ""])
def test_a_zone_that_is_none_gives_no_date_instead_of_a_wrong_one(connection: Session, zone: str) -> None:
    assert dated(connection, "2026-06-01T12:00Z", zone) is None
