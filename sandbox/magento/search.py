"""The list engine: filters, sorting, paging and the `fields` expression over rows kept in memory.

The comparisons are MySQL's: a number column reads the leading number of the text, a stamp column reads a
date and ignores what follows it, and text compares without regard to letter case.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal

from sandbox.magento.criteria import Criteria, Filter
from sandbox.magento.errors import ApiError, bad_request, masked

Row = Mapping[str, Any]
Unknown = Literal["crash", "name"]
_STAMP = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(\.\d+)?)?)?")
_NUMBER = re.compile(r"\s*[+-]?(\d+(\.\d*)?|\.\d+)")
_FIELD_TOKEN = re.compile(r"[\w-]+|\[|\]|,")


def find(
    rows: Iterable[Row],
    criteria: Criteria,
    columns: frozenset[str],
    *,
    unknown: Unknown = "crash",
    past_end: str = "empty",
    page_limit: int | None = None,
) -> tuple[list[Row], int]:
    """The rows of the asked page, and the count of all that match.

    An unknown filter column is a masked 500 on sales tables ("crash") and a 400 on products and customers
    ("name"); an unknown sort column is a 500 on the first and silently ignored on the second.
    """
    if page_limit is not None and (criteria.page_size or 0) > page_limit:
        raise bad_request("Maximum SearchCriteria pageSize is %max", {"max": page_limit})
    for group in criteria.groups:
        for entry in group:
            if entry.field not in columns:
                raise _unknown_column(entry.field, unknown)
    matching = [row for row in rows if all(_any(row, group) for group in criteria.groups)]
    for sort in reversed(criteria.sorts):
        if sort.field in columns:
            matching.sort(key=lambda row, name=sort.field: _order(row, name), reverse=not sort.ascending)  # type: ignore[misc]
        elif unknown == "crash":
            raise masked()
    return _page(matching, criteria, past_end), len(matching)


def listing(items: Sequence[Any], criteria: Criteria, total: int) -> dict[str, Any]:
    """The answer of a list call."""
    return {"items": list(items), "search_criteria": dict(criteria.echo), "total_count": total}


def trim(value: Any, expression: str) -> Any:
    """Apply `fields=`: an empty list becomes null, a broken expression empties the whole answer."""
    wanted = _parse_fields(expression)
    if wanted is None:
        return []
    return _trim(value, wanted) if isinstance(value, (dict, list)) else value


def stamp_key(text: str) -> str:
    """The comparable form of a date text; what is not a date compares below everything."""
    match = _STAMP.match(text.strip())
    if match is None:
        return ""
    year, month, day, hour, minute, second, fraction = match.groups()
    time = f"{hour or '00'}:{minute or '00'}:{second or '00'}{(fraction or '').rstrip('0.')}"
    return f"{year}-{month}-{day} {time}"


def _unknown_column(name: str, unknown: Unknown) -> ApiError:
    if unknown == "crash":
        return masked()
    return bad_request('The "%1" attribute name is invalid. Reset the name and try again.', [name])


def _page(rows: list[Row], criteria: Criteria, past_end: str) -> list[Row]:
    size = criteria.page_size
    if size is None or size == 0:
        return rows
    size = max(size, 1)
    page = max(criteria.page or 1, 1)
    last = max(-(-len(rows) // size), 1)
    if page > last and past_end == "repeat":
        page = last
    return rows[(page - 1) * size : page * size]


def _any(row: Row, group: Sequence[Filter]) -> bool:
    return not group or any(_matches(row.get(entry.field), entry) for entry in group)


def _is_stamp(name: str) -> bool:
    return name.endswith("_at")


def _leading_number(text: str) -> Decimal:
    match = _NUMBER.match(text)
    return Decimal(match.group(0).strip()) if match else Decimal(0)


def _compare(value: Any, text: str, name: str) -> int:
    """-1, 0 or 1 as MySQL compares a column value with a text."""
    left: Any
    right: Any
    if _is_stamp(name) and isinstance(value, str):
        left, right = stamp_key(value), stamp_key(text)
    elif isinstance(value, (bool, int, Decimal)):
        left, right = Decimal(value), _leading_number(text)
    else:
        left, right = str(value).casefold(), text.casefold()
    return int(left > right) - int(left < right)


def _like(value: Any, pattern: str) -> bool:
    text = re.escape(pattern).replace("%", ".*").replace("_", ".")
    return re.fullmatch(text, _text(value), re.IGNORECASE | re.DOTALL) is not None


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def _in_set(value: Any, text: str) -> bool:
    members = value if isinstance(value, (list, tuple)) else _text(value).split(",")
    return text in [str(member) for member in members]


def _equal(value: Any, text: str, name: str) -> bool:
    if isinstance(value, (list, tuple)):
        return _in_set(value, text)
    return _compare(value, text, name) == 0


_CONDITIONS: Mapping[str, Callable[[Any, str, str], bool]] = {
    "neq": lambda value, text, name: not _equal(value, text, name),
    "gt": lambda value, text, name: _compare(value, text, name) > 0,
    "gteq": lambda value, text, name: _compare(value, text, name) >= 0,
    "lt": lambda value, text, name: _compare(value, text, name) < 0,
    "lteq": lambda value, text, name: _compare(value, text, name) <= 0,
    "from": lambda value, text, name: _compare(value, text, name) >= 0,
    "to": lambda value, text, name: _compare(value, text, name) <= 0,
    "in": lambda value, text, name: any(_equal(value, part.strip(), name) for part in text.split(",")),
    "nin": lambda value, text, name: not any(_equal(value, part.strip(), name) for part in text.split(",")),
    "like": lambda value, text, _: _like(value, text),
    "nlike": lambda value, text, _: not _like(value, text),
    "finset": lambda value, text, _: _in_set(value, text),
    "nfinset": lambda value, text, _: not _in_set(value, text),
}


def _matches(value: Any, entry: Filter) -> bool:
    if entry.condition == "null":
        return value is None
    if entry.condition == "notnull":
        return value is not None
    if value is None:
        return False
    return _CONDITIONS.get(entry.condition, _equal)(value, entry.value, entry.field)


def _order(row: Row, name: str) -> tuple[int, Any]:
    value = row.get(name)
    if value is None:
        return (0, "")
    if isinstance(value, (bool, int, Decimal)):
        return (1, Decimal(value))
    return (2, stamp_key(value) if _is_stamp(name) else _text(value).casefold())


_Fields = dict[str, "_Fields | None"]


def _parse_fields(expression: str) -> _Fields | None:
    if expression.count("[") != expression.count("]") or re.search(r"[^\w\[\],-]", expression):
        return None
    root: _Fields = {}
    stack = [root]
    last: str | None = None
    for token in _FIELD_TOKEN.findall(expression):
        if token == "[":
            if last is None:
                return None
            child: _Fields = {}
            stack[-1][last] = child
            stack.append(child)
            last = None
        elif token == "]":
            stack.pop()
            if not stack:
                return None
            last = None
        elif token == ",":
            last = None
        else:
            stack[-1][token] = None
            last = token
    return root


def _trim(value: dict[str, Any] | list[Any], wanted: _Fields) -> Any:
    if isinstance(value, list):
        if not value:
            return None
        return [_trim(item, wanted) if isinstance(item, (dict, list)) else item for item in value]
    kept: dict[str, Any] = {}
    for key, item in value.items():
        if key in wanted:
            inner = wanted[key]
            kept[key] = _trim(item, inner) if inner is not None and isinstance(item, (dict, list)) else item
    return kept or []
