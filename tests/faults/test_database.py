"""The database goes away under a command: sessions are cut, the server is killed. It comes back, and nothing was lost."""

from __future__ import annotations

from tests.faults.fix_faults import Faults

CUTS = (
    ("commit before cdc.diff._changed_round", False),
    ("call sent PUT Invoices", False),
    ("call before PUT Payments", True),
    ("commit after cdc.settle.settle", False),
)
"""Points, and whether only the session with the sender's lock is cut."""


def test_sessions_that_are_cut_lose_nothing(own_server: Faults) -> None:
    for point, only_lock in CUTS:
        own_server.order()
        victim = own_server.paused("sync", point=point)

        own_server.cut(only_lock=only_lock)
        ended = victim.wake()

        assert ended.get("exit") in (0, 4), victim.said

    own_server.check()


def test_a_server_that_is_killed_is_started_by_the_next_command_and_nothing_is_lost(
    own_server: Faults,
) -> None:
    own_server.order()
    victim = own_server.paused("sync", point="call sent PUT Invoices")
    other = own_server.start("load")

    own_server.kill_server()

    assert victim.wake().get("exit") in (0, 4), victim.said
    assert other.wait().get("exit") in (0, 4), other.said
    own_server.check()
