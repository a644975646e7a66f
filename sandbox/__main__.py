"""`python -m sandbox xero --port 8801 --json`: serve one stand-in in the foreground until interrupted.

Once the port is open, one line of JSON says where it is and how to log in:
{"system": ..., "address": ..., "credentials": {...}}.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import sys

from sandbox.serving import serve

SYSTEMS = ("xero", "magento")


def main(arguments: list[str] | None = None) -> int:
    """Serve the named stand-in; returns 0 when it is interrupted."""
    parser = argparse.ArgumentParser(prog="python -m sandbox", description="Serve a stand-in.")
    parser.add_argument("system", choices=SYSTEMS)
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 takes a free one")
    parser.add_argument("--json", action="store_true", help="print the ready line as JSON")
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="option of the stand-in, value as JSON",
    )
    chosen = parser.parse_args(arguments)
    options = {name: _value(text) for name, _, text in (each.partition("=") for each in chosen.option)}
    module = importlib.import_module(f"sandbox.{chosen.system}.app")
    app = module.create_app(**options)
    credentials = app.config.get("CREDENTIALS", {})

    def ready(address: str) -> None:
        if chosen.json:
            line = {"system": chosen.system, "address": address, "credentials": credentials}
            print(json.dumps(line), flush=True)
        else:
            print(f"{chosen.system} stand-in at {address}", flush=True)
            for name, value in credentials.items():
                print(f"  {name}: {value}", flush=True)

    with contextlib.suppress(KeyboardInterrupt):
        serve(app, port=chosen.port, ready=ready)
    return 0


def _value(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return text


if __name__ == "__main__":
    sys.exit(main())
