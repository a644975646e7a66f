"""`where` and `order` as the API takes them: a small expression language over the fields of an element.

Strings stand in double quotes, guids in `guid("...")`, dates in `DateTime(2026, 01, 31)`; `AND`, `&&`,
`OR`, `||`, `==`, `=`, `!=`, `<`, `<=`, `>`, `>=`, `.Contains`, `.StartsWith`, `.EndsWith`. What cannot be
parsed is ErrorNumber 16 with the messages seen in public threads (XeroAPI/xero-php-oauth2 144 and 307,
xeroizer 454); a method on a null is an error of its own, so it has to be guarded. Text compares without
case and accents on Contacts, exactly elsewhere. Source: developer documentation "Requests and responses".
"""

from __future__ import annotations

import re
import unicodedata
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from sandbox.xero import errors
from sandbox.xero.fields import SCHEMAS

Read = Callable[[str], Any]  # the value of a dotted path of the record at hand
Value = Callable[[Read], Any]

_TOKEN = re.compile(
    r"""\s*(?:(?P<text>"[^"]*")|(?P<number>\d+(?:\.\d+)?m?)|(?P<name>[A-Za-z_][\w.]*)
    |(?P<mark>==|!=|<=|>=|&&|\|\||[=<>(),!'-]))""",
    re.VERBOSE,
)
_NESTED = {"Contact": "Contact", "Invoice": "Invoice", "Account": "Account", "BankAccount": "Account"}
_METHODS = {name.lower(): name for name in ("Contains", "StartsWith", "EndsWith", "ToLower", "ToUpper")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Operand:
    """One side of a comparison: what it is, and how to get it."""

    kind: str  # text, number, flag, date, id or null
    value: Value


def parse(text: str, schema: str) -> Value:
    """The expression as a function of a record; raises ErrorNumber 16."""
    return _Parser(text, schema).expression()


def order(text: str, schema: str) -> list[tuple[str, bool]]:
    """`Name ASC, Date DESC` as pairs of path and "descending"."""
    found = []
    for part in text.split(","):
        words = part.split()
        if not words or len(words) > 2 or (len(words) == 2 and words[1].upper() not in ("ASC", "DESC")):
            raise errors.bad_query("Expression expected")
        kind_of(words[0], schema)
        found.append((words[0], len(words) == 2 and words[1].upper() == "DESC"))
    return found


def kind_of(path: str, schema: str) -> str:
    """The kind of the field that a path names; raises ErrorNumber 16 for an unknown one."""
    head, _, rest = path.partition(".")
    field = SCHEMAS[schema].get(head)
    if field is None:
        raise errors.bad_query(f"No property or field '{head}' exists in type '{schema}'")
    if not rest:
        return {"choice": "text", "date": "date"}.get(field.kind, field.kind)
    if rest in ("Value", "Date", "HasValue"):
        return "flag" if rest == "HasValue" else field.kind
    inner = _NESTED.get(head) or field.of
    if inner is None:
        raise errors.bad_query(f"No property or field '{rest}' exists in type '{head}'")
    return kind_of(rest, inner)


class _Parser:
    def __init__(self, text: str, schema: str) -> None:
        self.schema = schema
        self.tokens = self._split(text)
        self.at = 0

    @staticmethod
    def _split(text: str) -> list[tuple[str, str]]:
        found, at, text = [], 0, text.strip()
        while at < len(text):
            token = _TOKEN.match(text, at)
            if token is None:
                raise errors.bad_query(f"Syntax error '{text[at]}'")
            kind = str(token.lastgroup)
            if token[kind] == "'":
                raise errors.bad_query("Character literal must contain exactly one character")
            found.append((kind, token[kind]))
            at = token.end()
        return found

    def expression(self) -> Value:
        value = self._any()
        if self.at != len(self.tokens):
            raise errors.bad_query("Syntax error")
        return value

    def _peek(self) -> str:
        return self.tokens[self.at][1] if self.at < len(self.tokens) else ""

    def _take(self) -> tuple[str, str]:
        if self.at >= len(self.tokens):
            raise errors.bad_query("Expression expected")
        self.at += 1
        return self.tokens[self.at - 1]

    def _expect(self, mark: str) -> None:
        if self._peek() != mark:
            raise errors.bad_query(f"'{mark}' expected")
        self.at += 1

    def _any(self) -> Value:
        parts = [self._all()]
        while self._peek().upper() in ("OR", "||"):
            self.at += 1
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else lambda read: any(part(read) for part in parts)

    def _all(self) -> Value:
        parts = [self._one()]
        while self._peek().upper() in ("AND", "&&"):
            self.at += 1
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else lambda read: all(part(read) for part in parts)

    def _one(self) -> Value:
        if self._peek() == "!":
            self.at += 1
            inner = self._one()
            return lambda read: not inner(read)
        if self._peek() == "(":
            self.at += 1
            inside = self._any()
            self._expect(")")
            return inside
        left = self._operand()
        if self._peek() not in _COMPARE:
            if left.kind != "flag":
                raise errors.bad_query("Expression of type 'Boolean' expected")
            return left.value
        mark = self._take()[1]
        return _comparison(mark, left, self._operand(), loose=self.schema == "Contact")

    def _operand(self) -> Operand:
        kind, text = self._take()
        if kind == "text":
            return Operand(kind="text", value=lambda _read: text[1:-1])
        if kind == "number":
            return _number(text)
        if text == "-":
            return _number("-" + self._take()[1])
        if kind != "name":
            raise errors.bad_query("Expression expected")
        return self._named(text)

    def _named(self, text: str) -> Operand:
        lower = text.lower()
        if lower == "null":
            return Operand(kind="null", value=lambda _read: None)
        if lower in ("true", "false"):
            return Operand(kind="flag", value=lambda _read: lower == "true")
        if self._peek() == "(":
            return self._call(text)
        kind = kind_of(text, self.schema)
        if text.endswith(".HasValue"):
            path = text.removesuffix(".HasValue")
            return Operand(kind="flag", value=lambda read: read(path) is not None)
        path = re.sub(r"\.(Value|Date)$", "", text) if "." in text else text
        return Operand(kind=kind, value=lambda read: read(path))

    def _call(self, text: str) -> Operand:
        arguments = self._arguments()
        if text.lower() == "guid" and len(arguments) == 1:
            wanted = _guid(str(arguments[0]))
            return Operand(kind="id", value=lambda _read: wanted)
        if text in ("DateTime", "DateTime.Parse"):
            at = _moment(arguments)
            return Operand(kind="date", value=lambda _read: at)
        path, _, method = text.rpartition(".")
        method = _METHODS.get(method.lower(), method)
        if method not in _METHODS.values() or not path:
            raise errors.bad_query(f"No applicable method '{method}' exists in type '{self.schema}'")
        if kind_of(path, self.schema) != "text":
            raise errors.bad_query(f"No applicable method '{method}' exists in type 'Guid'")
        return _method(path, method, str(arguments[0]) if arguments else "")

    def _arguments(self) -> list[Any]:
        self._expect("(")
        found: list[Any] = []
        while self._peek() != ")":
            kind, text = self._take()
            if kind not in ("text", "number"):
                raise errors.bad_query("Expression expected")
            found.append(text[1:-1] if kind == "text" else int(text))
            if self._peek() == ",":
                self.at += 1
        self._expect(")")
        return found


def _guid(text: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise errors.bad_query("Guid should contain 32 digits with 4 dashes") from None


def _number(text: str) -> Operand:
    try:
        number = Decimal(text.rstrip("m"))
    except ArithmeticError:
        raise errors.bad_query("Expression expected") from None
    return Operand(kind="number", value=lambda _read: number)


def _moment(arguments: list[Any]) -> datetime:
    try:
        if len(arguments) == 1:
            at = datetime.fromisoformat(str(arguments[0]))
            return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
        return datetime(*arguments).replace(tzinfo=UTC)  # noqa: DTZ001 - mypy refuses tzinfo after *
    except (TypeError, ValueError):
        raise errors.bad_query("Expression expected") from None


def _method(path: str, method: str, argument: str) -> Operand:
    def held(read: Read) -> str:
        value = read(path)
        if value is None:
            raise errors.numbered(
                500,
                "UnknownErrorException",
                "An error occurred in Xero. Check the API Status page",
                status=500,
            )
        return str(value)

    def apply(read: Read) -> Any:
        text = held(read)
        if method == "ToLower":
            return text.lower()
        if method == "ToUpper":
            return text.upper()
        inside = {"Contains": argument in text, "StartsWith": text.startswith(argument)}
        return inside.get(method, text.endswith(argument))

    return Operand(kind="text" if method.startswith("To") else "flag", value=apply)


_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": lambda left, right: left == right,
    "=": lambda left, right: left == right,
    "!=": lambda left, right: left != right,
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
}
_NAMES = {
    "text": "String",
    "number": "Decimal",
    "flag": "Boolean",
    "date": "DateTime",
    "id": "Guid",
    "null": "Object",
}


def _comparison(mark: str, left: Operand, right: Operand, *, loose: bool) -> Value:
    if left.kind != right.kind and "null" not in (left.kind, right.kind):
        names = f"'{_NAMES.get(left.kind, 'Object')}' and '{_NAMES.get(right.kind, 'Object')}'"
        raise errors.bad_query(f"Operator '{mark}' incompatible with operand types {names}")
    compare = _COMPARE[mark]

    def holds(read: Read) -> bool:
        first, second = _plain(left.value(read), loose), _plain(right.value(read), loose)
        if (first is None or second is None) and mark not in ("==", "=", "!="):
            return False
        return compare(first, second)

    return holds


def _plain(value: Any, loose: bool) -> Any:
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    if loose and isinstance(value, str):
        text = unicodedata.normalize("NFKD", value)
        return "".join(each for each in text if not unicodedata.combining(each)).casefold()
    return value
