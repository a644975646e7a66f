"""Reading `searchCriteria` out of a query string as PHP and the service layer do.

Both spellings of each key work, the parameter itself is mandatory, an unknown condition means `eq`, and a
sort order without a direction sorts descending. Source: recorded exchanges with Magento Open Source 2.4.4
(lists).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sandbox.magento.errors import bad_request, required, wrong_type

Nested = dict[str, Any]
_WHOLE_NUMBER = re.compile(r"\s*[+-]?\d+\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """One comparison; `condition` is kept as sent, for the echo."""

    field: str
    value: str
    condition: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sort:
    """One sort key."""

    field: str
    direction: str | None

    @property
    def ascending(self) -> bool:
        """Without a direction a sort order is descending."""
        return self.direction == "ASC"


@dataclass(frozen=True, slots=True, kw_only=True)
class Criteria:
    """Groups are AND-ed, the filters of one group OR-ed."""

    groups: Sequence[Sequence[Filter]] = ()
    sorts: Sequence[Sort] = ()
    page_size: int | None = None
    page: int | None = None
    echo: Mapping[str, Any] = field(default_factory=dict)


def nested(pairs: Sequence[tuple[str, str]]) -> Nested:
    """PHP's reading of `a[b][0][c]=d` pairs; `[]` appends."""
    root: Nested = {}
    for name, value in pairs:
        head, _, rest = name.partition("[")
        keys = [head.replace(".", "_").replace(" ", "_")]
        if rest:
            keys += rest[:-1].split("][") if rest.endswith("]") else [rest]
        node = root
        for key in keys[:-1]:
            child = node.get(key)
            if not isinstance(child, dict):
                child = {}
                node[key] = child
            node = child
        last = keys[-1] if keys[-1] or len(keys) == 1 else str(len(node))
        node[last] = value
    return root


def read(query: Nested) -> Criteria:
    """The criteria of a list call."""
    if "searchCriteria" in query:
        sent = query["searchCriteria"]
    elif "search_criteria" in query:
        sent = query["search_criteria"]
    else:
        raise required("searchCriteria")
    if not isinstance(sent, dict):
        return Criteria(echo={"filter_groups": []})
    groups = tuple(_group(group) for group in _values(_either(sent, "filter_groups", "filterGroups")))
    sorts = tuple(_sort(entry) for entry in _values(_either(sent, "sort_orders", "sortOrders")))
    page_size = _integer(_either(sent, "page_size", "pageSize"), "pageSize")
    page = _integer(_either(sent, "current_page", "currentPage"), "currentPage")
    echo: Nested = {
        "filter_groups": [{"filters": [_echo_filter(entry) for entry in group]} for group in groups]
    }
    if sorts:
        echo["sort_orders"] = [{"field": sort.field, "direction": sort.direction} for sort in sorts]
    if page_size is not None:
        echo["page_size"] = page_size
    if page is not None:
        echo["current_page"] = page
    return Criteria(groups=groups, sorts=sorts, page_size=page_size, page=page, echo=echo)


def by_field(name: str, value: str) -> Criteria:
    """The criteria a service builds for itself, such as the comments of one order."""
    entry = Filter(field=name, value=value, condition="eq")
    return Criteria(groups=((entry,),), echo={"filter_groups": [{"filters": [_echo_filter(entry)]}]})


def _either(node: Nested, *names: str) -> Any:
    return next((node[name] for name in names if name in node), None)


def _values(node: Any) -> list[Any]:
    return [item for item in node.values() if isinstance(item, dict)] if isinstance(node, dict) else []


def _group(node: Nested) -> tuple[Filter, ...]:
    return tuple(
        Filter(
            field=str(entry.get("field", "")),
            value=str(entry.get("value", "")),
            condition=str(_either(entry, "condition_type", "conditionType") or "eq"),
        )
        for entry in _values(node.get("filters"))
    )


def _echo_filter(entry: Filter) -> Nested:
    return {"field": entry.field, "value": entry.value, "condition_type": entry.condition}


def _sort(node: Nested) -> Sort:
    direction = str(node["direction"]).upper() if "direction" in node else None
    if direction not in ("ASC", "DESC", None):
        message = "The sort order has to be specified as %1 for ascending order or %2 for descending order."
        raise bad_request(message, ["ASC", "DESC"])
    return Sort(field=str(node.get("field", "")), direction=direction)


def _integer(value: Any, name: str) -> int | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str) or not _WHOLE_NUMBER.fullmatch(value):
        raise wrong_type(value, "int", name)
    return int(value)
