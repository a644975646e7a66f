"""The Magento stand-in: a Flask app that answers `/rest/[code|all]/V1/...` as Magento Open Source 2.4.4
does.

`create_app(**options)` takes the fields of `Options`. A request passes the content checks, finds its
route, is authorised, and its function's value is rendered, trimmed by `fields=` if asked. Every answer
sets a session cookie and forbids caching, as the real one does.
"""

from __future__ import annotations

import re
import secrets
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

import flask

from sandbox import control as shared
from sandbox import serving
from sandbox.clock import Clock
from sandbox.magento import (
    bulk,
    control,
    creditmemos,
    customers,
    directory,
    invoices,
    orders,
    payments,
    prices,
    products,
    seed,
    shipments,
    stock,
)
from sandbox.magento.auth import Caller, Gate
from sandbox.magento.criteria import nested
from sandbox.magento.errors import (
    CRASH_PAGE,
    NO_ROUTE,
    SIGN_IN,
    ApiError,
    Crash,
    bad_request,
    masked,
    not_found,
    required,
    unauthorized,
)
from sandbox.magento.options import Options
from sandbox.magento.render import dumps, loads, xml
from sandbox.magento.routing import ANONYMOUS, SELF, Call, Route, match
from sandbox.magento.search import trim
from sandbox.magento.shop import Shop

ROUTES: tuple[Route, ...] = (
    *orders.ROUTES,
    *invoices.ROUTES,
    *creditmemos.ROUTES,
    *shipments.ROUTES,
    *payments.ROUTES,
    *prices.ROUTES,
    *stock.ROUTES,
    *products.ROUTES,
    *customers.ROUTES,
    *directory.ROUTES,
    *bulk.ROUTES,
)
_METHODS = ("GET", "POST", "PUT", "DELETE")
_LONGEST_TARGET = 8192
_REST = re.compile(
    r"/(?:index\.php/)?rest(?:/(?!V\d|async)(?P<code>\w+))?(?P<mode>/async(?:/bulk)?)?/(?P<version>V\d+)(?P<path>/.*)"
)
_JSON = "application/json; charset=utf-8"


class Vendor:
    """How the shared faults are worded here."""

    api = r"^/(index\.php/)?rest/"

    def refusal(self, kind: str, problem: str | None) -> flask.Response:
        """The answer of a fault."""
        if kind == "429":
            return _json({"message": problem or "Too Many Requests", "trace": None}, 429)
        if kind == "503":
            page = "<html><body><h1>503 Service Unavailable</h1></body></html>"
            return flask.Response(page, 503, content_type="text/html; charset=UTF-8")
        if kind == "expired_token":
            return _json(unauthorized(problem or "Magento_Sales::actions_view").body(), 401)
        if problem in ("text", "html"):
            crash = Crash(page=problem == "html")
            return flask.Response(crash.body, 500, content_type=crash.content_type)
        return _json(masked().body(), 500)


def create_app(**options: Any) -> flask.Flask:
    """A stand-in with its own state; options as in `Options`."""
    app = flask.Flask("sandbox.magento")
    clock = Clock()
    if "trade_shipping" in options:
        options["trade_shipping"] = Decimal(str(options["trade_shipping"]))
    chosen = Options(**options)
    shop = Shop(options=chosen, clock=clock)
    gate = Gate(options=chosen, clock=clock)
    seed.fill(shop, chosen)
    app.extensions["magento"] = shop
    app.config["CREDENTIALS"] = gate.credentials()
    shared.install(app, Vendor(), clock)
    app.register_blueprint(control.blueprint(shop), url_prefix=shared.PREFIX)

    @app.after_request
    def dated(response: flask.Response) -> flask.Response:
        response.date = clock.now()
        return response

    @app.route("/", defaults={"path": ""}, methods=[*_METHODS, "PATCH", "HEAD", "OPTIONS"])
    @app.route("/<path:path>", methods=[*_METHODS, "PATCH", "HEAD", "OPTIONS"])
    def serve(**_path: str) -> flask.Response:
        return _serve(shop, gate)

    return app


def start(port: int = 0, **options: Any) -> serving.Running:
    """Serve a new stand-in; `.credentials` holds the base address and every way to log in."""
    app = create_app(**options)
    credentials = app.config["CREDENTIALS"]
    running = serving.start(app, port=port, credentials=credentials)
    credentials["base_url"] = running.address
    return running


def _serve(shop: Shop, gate: Gate) -> flask.Response:
    target = _raw_target()
    if len(target) > _LONGEST_TARGET:
        page = "<html><head><title>414 Request-URI Too Large</title></head><body></body></html>"
        return flask.Response(page, 414, content_type="text/html; charset=UTF-8")
    path, _, query = target.partition("?")
    accept = flask.request.headers.get("Accept", "*/*")
    as_xml = "application/xml" in accept and "json" not in accept
    if not as_xml and "json" not in accept and "*/*" not in accept:
        return flask.Response(CRASH_PAGE, 500, content_type="text/html; charset=UTF-8")
    try:
        status, value = _answer(shop, gate, path, query)
    except ApiError as refused:
        status, value = refused.status, refused.body()
    except Crash as crash:
        return flask.Response(crash.body, 500, content_type=crash.content_type)
    if as_xml:
        response = flask.Response(xml(value), status, content_type="application/xml; charset=utf-8")
        return _finish(response)
    return _json(value, status)


def _raw_target() -> str:
    """The request target as it was sent: encoded slashes and pluses matter."""
    environ = flask.request.environ
    raw = environ.get("REQUEST_URI") or environ.get("RAW_URI")
    if raw:
        return re.sub(r"^https?://[^/]+", "", str(raw))  # the absolute form, which clients send to a proxy
    query = flask.request.query_string.decode("ascii", "replace")
    return flask.request.path + (f"?{query}" if query else "")


def _answer(shop: Shop, gate: Gate, path: str, query: str) -> tuple[int, Any]:
    method = flask.request.method
    found = _REST.fullmatch(path)
    if found is None:
        raise not_found(NO_ROUTE)
    code = found["code"]
    view = shop.view_by_code(code) if code else shop.views[0]
    if view is None and code != "all":
        raise bad_request("Specified request cannot be processed.")
    if method not in _METHODS:
        raise bad_request("Request method is invalid.")
    if found["version"] != "V1":
        raise not_found(NO_ROUTE)
    if found["mode"] and method == "GET":
        raise bad_request("Specified request cannot be processed.")
    url = f"{flask.request.scheme}://{flask.request.host}{path}"
    header = flask.request.headers.get("Authorization")
    pairs = parse_qsl(query, keep_blank_values=True)
    call = Call(
        method=method,
        query=nested(pairs),
        scope=code,
        view=view if code != "all" else shop.views[0],
        host=flask.request.host,
    )
    if found["path"] in ("/integration/admin/token", "/integration/customer/token"):
        return 200, _token(shop, gate, method, found["path"])
    if found["path"] == "/tfa/provider/google/authenticate" and method == "POST":
        _body()
        raise bad_request("Provider is not allowed.")
    bulk_call = (found["mode"] or "").endswith("/bulk")
    entry, values = _find(method, found["path"], bulk_call)
    caller = gate.caller(header=header, method=method, url=url, query=query)
    _allow(entry, caller)
    call = _filled(call, values, caller, method)
    if found["mode"]:
        if entry.topic is None and "{" not in entry.template:
            raise not_found(NO_ROUTE)
        calls = bulk.calls_of(entry, call) if bulk_call else [call]
        return 202, bulk.accept(shop, entry, calls)
    value = entry.handler(shop, call)
    expression = call.query.get("fields")
    return 200, trim(value, expression) if isinstance(expression, str) and expression else value


def _find(method: str, path: str, bulk_call: bool) -> tuple[Route, dict[str, str]]:
    """In bulk routes a path parameter is written `by` and its name."""
    found = match(ROUTES, method, path.rstrip("/"))
    if bulk_call:
        plain = re.sub(r"/by[A-Z]\w*", "/0", path)
        found = match(ROUTES, method, plain.rstrip("/"))
    if found is None:
        raise not_found(NO_ROUTE)
    return found


def _allow(entry: Route, caller: Caller) -> None:
    if entry.resource == ANONYMOUS:
        return
    if entry.resource == SELF:
        if caller.kind == "guest":
            raise unauthorized("self")
        return
    if not caller.may(entry.resource):
        raise unauthorized(entry.resource)


def _filled(call: Call, values: dict[str, str], caller: Caller, method: str) -> Call:
    return Call(
        method=call.method,
        path=values,
        query=call.query,
        body=_body() if method in ("POST", "PUT") else None,
        scope=call.scope,
        view=call.view,
        user_id=caller.user_id,
        customer_id=caller.user_id if caller.kind == "customer" else None,
        host=call.host,
    )


def _body() -> Any:
    """The JSON body; no body at all is an empty object."""
    kind = flask.request.headers.get("Content-Type", "")
    text = flask.request.get_data(as_text=True)
    if not kind:
        if not text:
            return {}
        raise bad_request("Content-Type header is empty.")
    kind = kind.partition(";")[0].strip()
    if kind not in ("application/json", "application/xml"):
        raise bad_request(f"Server cannot understand Content-Type HTTP header media type {kind}")
    if not text:
        return {}
    try:
        return loads(text)
    except ValueError:
        raise bad_request("Decoding error.") from None


def _token(shop: Shop, gate: Gate, method: str, path: str) -> str:
    if method != "POST":
        raise not_found(NO_ROUTE)
    body = _body()
    body = body if isinstance(body, dict) else {}
    if path == "/integration/admin/token":
        return gate.admin_token(body)
    missing = [name for name in ("username", "password") if not body.get(name)]
    if missing:
        raise required(*missing)
    number = customers.sign_in(shop, str(body["username"]), str(body["password"]))
    if not number:
        raise ApiError(401, SIGN_IN)
    return gate.customer_token(number)


def _json(value: Any, status: int) -> flask.Response:
    return _finish(flask.Response(dumps(value), status, content_type=_JSON))


def _finish(response: flask.Response) -> flask.Response:
    response.headers["Cache-Control"] = "no-store, no-cache, must-revalidate, max-age=0"
    response.headers["Pragma"] = "no-cache"
    response.headers["X-Frame-Options"] = "SAMEORIGIN"
    response.set_cookie("PHPSESSID", secrets.token_hex(13), path="/", httponly=True, samesite="Lax")
    return response
