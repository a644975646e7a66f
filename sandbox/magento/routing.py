"""The route table: method, path, ACL resource and the function that answers.

Functions take the shop and the call and return the JSON value. `{name}` matches one path segment, still
encoded, so that a sku with an encoded slash stays one segment.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from sandbox.magento.criteria import Nested
from sandbox.magento.errors import required, wrong_type
from sandbox.magento.shop import Doc, Shop, StoreView

ANONYMOUS = "anonymous"
SELF = "self"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request, read: path values decoded, the query as PHP nests it, the body as JSON."""

    method: str
    path: dict[str, str] = field(default_factory=dict)
    query: Nested = field(default_factory=dict)
    body: Any = None
    scope: str | None = None
    view: StoreView | None = None
    user_id: int | None = None
    customer_id: int | None = None
    host: str = ""

    def number(self, name: str) -> int:
        """A path value as PHP's int; leading zeros are fine, letters are not."""
        text = self.path[name]
        if re.fullmatch(r"[+-]?\d+", text) is None:
            raise wrong_type(text, "int")
        return int(text)

    def wrapped(self, name: str) -> Doc:
        """The object under the body's wrapper key, in either spelling; 400 if it is not there."""
        body = self.body if isinstance(self.body, dict) else {}
        camel = re.sub(r"_(\w)", lambda match: match.group(1).upper(), name)
        value = body.get(camel, body.get(name))
        if not isinstance(value, dict):
            raise required(camel)
        return value


Handler = Callable[[Shop, Call], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One line of a `webapi.xml`."""

    method: str
    pattern: re.Pattern[str]
    template: str
    resource: str
    handler: Handler
    topic: str | None = None


def route(method: str, template: str, resource: str, handler: Handler, topic: str | None = None) -> Route:
    """A route below `/V1`, such as `/orders/{id}`; `topic` names its queue for the asynchronous forms."""
    pattern = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", template))
    return Route(
        method=method, pattern=pattern, template=template, resource=resource, handler=handler, topic=topic
    )


def match(routes: tuple[Route, ...], method: str, path: str) -> tuple[Route, dict[str, str]] | None:
    """The first route that fits, with its path values decoded."""
    for entry in routes:
        found = entry.pattern.fullmatch(path) if entry.method == method else None
        if found is not None:
            return entry, {name: unquote(value) for name, value in found.groupdict().items()}
    return None
