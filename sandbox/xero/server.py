"""Serving the Xero stand-in in this process."""

from __future__ import annotations

from typing import Any

from sandbox import serving
from sandbox.serving import Running
from sandbox.xero.app import create_app


def start(port: int = 0, **options: Any) -> Running:
    """Serve a fresh stand-in on 127.0.0.1; the options are those of `create_app`."""
    app = create_app(**options)
    return serving.start(app, port=port, credentials=app.config["CREDENTIALS"])
