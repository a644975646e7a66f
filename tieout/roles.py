"""SQL roles with the least that each kind of work needs: `tieout_loader`, `tieout_analyst`, `tieout_writer`, `tieout_reader`.

What each may do stands in the function `cdc.grant_roles` (sql/schema/0022_roles.sql). It runs at the end of each migration
and inside the switch of each build, because a build puts new relations in the place of the old ones. Roles belong to the
server: where this user may not make them, an administrator does once, and the next migration grants them their rights.
"""

from __future__ import annotations

from typing import Any

import psycopg

from tieout.queries import query

Session = psycopg.Connection[dict[str, Any]]


def grant_roles(session: Session) -> list[str]:
    """Make the roles where this user may, and grant what is new; the roles that could not be made.

    A database from before there were roles is left alone: its next migration brings the function.
    """
    if session.execute(query("roles", "has_roles")).fetchone() != {"has_roles": True}:
        return []
    row = session.execute(query("roles", "grant_roles")).fetchone()
    return list(row["missing"]) if row is not None else []


def missing_roles(session: Session) -> list[str]:
    """The roles that the server does not have."""
    return [row["role"] for row in session.execute(query("roles", "missing_roles"))]


def cure(missing: list[str]) -> str:
    """What an administrator of the server does about it."""
    statements = " ".join(f"create role {role} nologin;" for role in missing)
    return f"Let an administrator of the server run: {statements} Then run `tieout migrate`."
