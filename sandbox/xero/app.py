"""The stand-in for Xero: identity, connections and the accounting API, under one address.

A request to the API is logged in first, then counted, then its idempotency key is looked up, then served
under the lock. Faults strike before all of it or spoil the finished answer (see `sandbox.control`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

import flask

from sandbox import control as shared
from sandbox.clock import Clock
from sandbox.xero import api, control, errors, oauth, seed
from sandbox.xero.limits import Limits, fingerprint
from sandbox.xero.oauth import Access, AuthorizeError, TokenError
from sandbox.xero.render import milliseconds, to_json, to_xml
from sandbox.xero.site import Site
from sandbox.xero.store import Options, Store, Tenant, new_id

API = "/api.xro/2.0/"
MAINTENANCE = "The Xero API is temporarily unavailable"

_METHODS = ["GET", "PUT", "POST", "DELETE"]
_LIMITS = ("minute", "day", "concurrent", "appminute")
# Read from the key list, whatever the case: organisations are told apart by this header alone.
_TENANT_HEADER = "xero-tenant-id"


def create_app(**options: Any) -> flask.Flask:
    """A fresh stand-in.

    Options: those of `sandbox.xero.store.Options`, the limits `minute`, `day`, `concurrent`, `appminute`
    (None: no limit), and `clock`.
    """
    clock = options.pop("clock", None) or Clock()
    limits = Limits()
    limits.most.update({name: options.pop(name) for name in _LIMITS if name in options})
    if "rates" in options:
        options["rates"] = {name: Decimal(str(rate)) for name, rate in options["rates"].items()}
    store = Store(Options(**options), clock)
    limits.rolling = store.options.window == "rolling"
    seed.fill(store)
    site = Site(store=store, identity=seed.identity(clock), limits=limits)
    app = flask.Flask("sandbox.xero", static_folder=None)
    app.url_map.strict_slashes = False
    app.config["CREDENTIALS"] = seed.CREDENTIALS
    app.config["SITE"] = site
    shared.install(app, _Vendor(), clock)
    app.register_blueprint(control.routes(site), url_prefix=shared.PREFIX)
    _identity_routes(app, site)
    _accounting_routes(app, site)
    app.register_error_handler(errors.ApiError, _refused)
    app.register_error_handler(404, lambda _error: _refused(errors.not_found()))
    return app


class _Vendor:
    """How the vendor words the answers that a fault sends."""

    api = "^/api.xro/"

    def refusal(self, kind: str, problem: str | None) -> flask.Response:
        """The answer to a fault."""
        if kind == "429":
            problem = problem or "minute"
            wait = {"minute": 1, "day": 66_975}.get(problem)
            return _refused(errors.too_many(problem, wait))
        if kind == "503":
            return flask.Response(MAINTENANCE, 503, mimetype="text/plain")
        if kind == "expired_token":
            return _refused(errors.token_expired(flask.current_app.extensions["sandbox"].clock.now()))
        message = "An error occurred in Xero. Check the API Status page http://status.developer.xero.com"
        return _refused(errors.numbered(500, "UnknownErrorException", message, status=500))


def _refused(error: errors.ApiError) -> flask.Response:
    """A refusal as the vendor sends it: JSON for a numbered error, plain text for the rest."""
    if isinstance(error.body, str):
        response = flask.Response(error.body, error.status, mimetype="text/html")
    elif _wants_json() or "ErrorNumber" not in error.body:
        response = _json(dict(error.body), error.status)
    else:
        response = flask.Response(to_xml(dict(error.body)), error.status, mimetype="text/xml")
    response.headers.update(error.headers)
    return response


def _wants_json() -> bool:
    """XML is the default: only a client that names JSON gets it."""
    return "application/json" in flask.request.headers.get("Accept", "")


def _json(value: Any, status: int = 200) -> flask.Response:
    return flask.Response(to_json(value), status, content_type="application/json; charset=utf-8")


def _identity_routes(app: flask.Flask, site: Site) -> None:
    @app.get("/identity/connect/authorize")
    def authorize() -> Any:
        given = flask.request.args
        with site.store.lock:
            try:
                code = site.identity.authorize(given)
            except AuthorizeError as error:
                return flask.Response(f"<html><body>Error: {error}</body></html>", 400, mimetype="text/html")
        more = {"code": code, "scope": given["scope"], "session_state": new_id()}
        if "state" in given:
            more["state"] = given["state"]
        joint = "&" if "?" in given["redirect_uri"] else "?"
        return flask.redirect(f"{given['redirect_uri']}{joint}{urlencode(more, quote_via=quote)}", 302)

    @app.post("/connect/token")
    def token() -> Any:
        basic = oauth.basic_credentials(flask.request.headers.get("Authorization"))
        with site.store.lock:
            try:
                return flask.jsonify(site.identity.token(_form(), basic))
            except TokenError as error:
                return flask.jsonify({"error": error.error}), 400

    @app.post("/connect/revocation")
    def revoke() -> Any:
        basic = oauth.basic_credentials(flask.request.headers.get("Authorization"))
        with site.store.lock:
            try:
                site.identity.revoke(_form(), basic)
            except TokenError as error:
                return flask.jsonify({"error": error.error}), 400
        return flask.Response(status=200)

    _discovery(app)
    _connection_routes(app, site)


def _discovery(app: flask.Flask) -> None:
    @app.get("/.well-known/openid-configuration")
    def discover() -> Any:
        root = flask.request.host_url.rstrip("/")
        return {
            "issuer": root,
            "authorization_endpoint": f"{root}/identity/connect/authorize",
            "token_endpoint": f"{root}/connect/token",
            "revocation_endpoint": f"{root}/connect/revocation",
            "scopes_supported": sorted(oauth.SCOPES),
            "grant_types_supported": ["authorization_code", "client_credentials", "refresh_token"],
            "code_challenge_methods_supported": ["S256"],
            "response_types_supported": ["code"],
        }


def _connection_routes(app: flask.Flask, site: Site) -> None:
    @app.get("/connections")
    @app.get("/Connections")
    def connections() -> Any:
        with site.store.lock:
            access = site.identity.bearer(flask.request.headers.get("Authorization"))
            wanted = flask.request.args.get("authEventId")
            held = [each for each in site.identity.connected(access.app) if wanted in (None, each.event)]
            return flask.jsonify([_connection(site, each) for each in held])

    @app.delete("/connections/<connection_id>")
    @app.delete("/Connections/<connection_id>")
    def disconnect(connection_id: str) -> Any:
        with site.store.lock:
            access = site.identity.bearer(flask.request.headers.get("Authorization"))
            site.identity.disconnect(access.app, connection_id)
        return flask.Response(status=204)


def _form() -> Mapping[str, str]:
    if flask.request.mimetype != "application/x-www-form-urlencoded":
        return {}
    return dict(parse_qsl(flask.request.get_data(as_text=True), keep_blank_values=True))


def _connection(site: Site, each: oauth.Connection) -> dict[str, str]:
    """One connection; stamps have seven fractional digits and no zone (xero-identity.yaml)."""
    return {
        "id": each.id,
        "authEventId": each.event,
        "tenantId": each.tenant_id,
        "tenantType": "ORGANISATION",
        "tenantName": site.store.tenants[each.tenant_id].organisation["Name"],
        "createdDateUtc": _seven(each.created),
        "updatedDateUtc": _seven(each.updated),
    }


def _seven(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}0000"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Visitor:
    access: Access
    tenant: Tenant


def _accounting_routes(app: flask.Flask, site: Site) -> None:
    @app.before_request
    def let_in() -> flask.Response | None:
        if not flask.request.path.startswith("/api.xro/"):
            return None
        with site.store.lock:
            visitor = flask.g.visitor = _log_in(site)
            client, tenant = visitor.access.app.client_id, visitor.tenant.id
            flask.g.entered = (client, tenant)
            flask.g.limit_headers = {}
            flask.g.limit_headers = site.limits.enter(client, tenant, site.store.clock.now())
        return None

    @app.after_request
    def let_out(response: flask.Response) -> flask.Response:
        response.headers.update(flask.g.get("limit_headers", {}))
        if flask.request.path.startswith("/api.xro/"):
            response.headers["Xero-Correlation-Id"] = new_id()
        return response

    @app.teardown_request
    def leave(_error: BaseException | None) -> None:
        entered = flask.g.pop("entered", None)
        if entered is not None:
            with site.store.lock:
                site.limits.leave(*entered)

    @app.route(f"{API}<path:path>", methods=_METHODS)
    def accounting(path: str) -> flask.Response:
        with site.store.lock:
            return _replayed(site, path)


def _log_in(site: Site) -> _Visitor:
    """Who asks, and for which organisation; raises the 401 or 403 of the API."""
    access = site.identity.bearer(flask.request.headers.get("Authorization"))
    wanted = (flask.request.headers.get(_TENANT_HEADER) or "").lower()
    if access.app.kind == "custom":
        wanted = access.app.tenant_id or ""  # the header is not needed and ignored ("Custom connections")
    tenant = site.store.tenants.get(wanted)
    if tenant is None or all(each.tenant_id != wanted for each in site.identity.connected(access.app)):
        raise errors.forbidden()
    return _Visitor(access=access, tenant=tenant)


def _replayed(site: Site, path: str) -> flask.Response:
    """Serve the request, or replay the first answer under its idempotency key."""
    request, visitor = flask.request, flask.g.visitor
    text = request.headers.get("Idempotency-Key") if request.method in ("PUT", "POST") else None
    if not text:
        return _served(site, path, visitor)
    key = (visitor.access.app.client_id, visitor.tenant.id, text)
    asked = fingerprint(request.method, request.full_path, request.get_data())
    now = site.store.clock.now()
    kept = site.replays.find(key, asked, now)
    if kept is None:
        try:
            response = _served(site, path, visitor)
        except errors.ApiError as error:
            response = _refused(error)
        kept = (response.status_code, response.content_type, response.get_data())
        site.replays.keep(key, asked, now, kept)
    status, content_type, data = kept
    return flask.Response(data, status, content_type=content_type)


def _served(site: Site, path: str, visitor: _Visitor) -> flask.Response:
    request = flask.request
    ask = api.Ask(
        method=request.method,
        parts=tuple(part for part in path.split("/") if part),
        arguments=dict(request.args.items()),
        since=request.headers.get("If-Modified-Since"),
        content_type=request.content_type or "",
        data=request.get_data(),
        access=visitor.access,
        tenant=visitor.tenant,
        options=site.store.options,
    )
    try:
        answer = api.serve(ask)
    except BaseException:
        visitor.tenant.rollback(0)
        raise
    visitor.tenant.commit()
    if answer is None:
        return flask.Response(status=204)
    envelope = {
        "Id": new_id(),
        "Status": "OK",
        "ProviderName": visitor.access.app.name,
        "DateTimeUTC": f"/Date({milliseconds(site.store.clock.now())})/",
        **answer,
    }
    if _wants_json():
        return _json(envelope)
    return flask.Response(to_xml(envelope), 200, content_type="text/xml; charset=utf-8")
