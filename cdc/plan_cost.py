"""What sending a batch takes: the requests as the writers would make them now, counted and measured.

Ids that the target has yet to give are stood in for. The reads before a change or a create come on top; they depend on
what the target holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

from cdc.calls import body_bytes
from cdc.lane import outgoing_of
from cdc.links import Target, references
from cdc.plan_batch import Cost, Row
from cdc.writing import Operation, Outgoing, Write

_STANDS_IN = "00000000-0000-0000-0000-000000000000"
_OPERATIONS: Sequence[Operation] = get_args(Operation)


class _Given(Mapping[str, Any]):
    """What a target will return of a record: whatever is asked for."""

    def __getitem__(self, name: str) -> str:
        return _STANDS_IN

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def cost_of(rows: Sequence[Row], writers: Mapping[str, Mapping[str, Write]]) -> tuple[Cost, ...]:
    """By target, entity and operation, in the order in which they are sent. `writers`: by connection."""

    kinds: dict[tuple[str, str, Operation], list[Row]] = {}
    for row in rows:
        kinds.setdefault((row["connection"], row["entity"], row["operation"]), []).append(row)
    found = []
    for (connection, entity, operation), some in kinds.items():
        write = writers[connection][entity]
        bodies = list(_bodies(write, operation, [outgoing_of(row, _targets(row["payload"])) for row in some]))
        found.append(
            Cost(
                connection=connection, entity=entity, operation=operation, entries=len(some), calls=len(bodies),
                size=sum(bodies),
            )
        )  # fmt: skip
    places = {name: list(some) for name, some in writers.items()}
    return tuple(
        sorted(
            found,
            key=lambda one: (
                one.connection,
                places[one.connection].index(one.entity),
                _OPERATIONS.index(one.operation),
            ),
        )
    )


def _bodies(write: Write, operation: Operation, outgoing: Sequence[Outgoing]) -> Iterator[int]:
    """The size of each request: those of one `serial_by` together, at most a batch a call."""
    lanes: dict[str | None, list[Outgoing]] = {}
    for one in outgoing:
        lanes.setdefault(write.serial_by(one), []).append(one)
    size = write.batch(operation)
    for lane in lanes.values():
        for start in range(0, len(lane), size):
            try:
                request = write.request(operation, lane[start : start + size])
            except ValueError:
                # What a look just before sending settles, or completes: it is a call, of a size that only the target knows.
                yield 0
            else:
                yield len(body_bytes(request.body))


def _targets(payload: Mapping[str, Any]) -> dict[tuple[str, str], Target]:
    given = Target(target_id=_STANDS_IN, returned=_Given())
    return {(one.entity, one.key): given for one in references(payload)}
