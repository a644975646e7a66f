"""Auditing: `audit`. Whether what is recorded is still what was recorded."""

from __future__ import annotations

import re
from pathlib import Path

import click
from rich.console import RenderableType

from cdc import audit as trail
from cdc import recompute as again
from console import fields
from console.frame import App, command
from console.report import Report, facts, minute, table, verdict
from tieout import witness
from tieout.errors import ExitCode, UsageError

_HEAD = re.compile(r"(?P<position>\d+):(?P<digest>[0-9a-f]{64})")


@click.group("audit")
def audit() -> None:
    """What was decided and sent, in a chain that shows each later change: docs/audit.md.

    Example: tieout audit verify
    """


@command("verify")
@click.option(
    "--head", "heads", multiple=True, metavar="POSITION:DIGEST", help="A head that was kept elsewhere; may be repeated."
)  # fmt: skip
@click.option(
    "--archive", "folder", type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Read the archived months in this folder too, the chain from its first row on.",
)  # fmt: skip
def verify(app: App, heads: tuple[str, ...], folder: Path | None) -> Report:
    """Find a changed, missing, inserted or cut-off row of the audit, and records that are no longer as it says.

    Example: tieout audit verify

    Compares with the head that this machine noted in witness.json too. Exit code 3 when something is found.
    """
    noted = [(*_head(text), "The head given") for text in heads]
    known = witness.audit_head(app.settings)
    if known is not None:
        noted.append((*known, "The witness file"))
    with app.database.connect() as session:
        verified = trail.verify(session, noted=noted, folder=folder)
    outside = "compared with the head in the witness file" if known else "no head is noted outside yet"
    good = f"The audit is whole: {verified.rows} rows follow each other, {outside}."
    bad = f"{len(verified.findings)} things are not as they were recorded. Keep the database as it is, and ask who had access."
    shown: list[RenderableType] = [
        verdict(verified.is_whole, good if verified.is_whole else bad),
        facts(
            "Looked at",
            {
                "head": f"{verified.head.position}:{verified.head.digest}",
                "not sealed yet": verified.head.unsealed or None,
                "archived": _archived(verified),
                **{f"cdc.{name}": f"{count} rows compared" for name, count in verified.kept.items()},
                "persons forgotten": verified.forgotten or None,
            },
        ),
    ]
    if verified.findings:
        rows = [(each.what, each.where, each.sentence) for each in verified.findings]
        shown.insert(1, table("Found", ("what", "where", "that is"), rows))
    return Report(
        data={
            "ok": verified.is_whole, "rows": verified.rows, "head": _named(verified.head), "kept": verified.kept,
            "forgotten": verified.forgotten, "archived": verified.archived, "archive_read": verified.is_read, "compared_with": [where for _, _, where in noted],
            "findings": [{"what": each.what, "where": each.where, "sentence": each.sentence} for each in verified.findings],
        },
        shown=shown,
        exit_code=ExitCode.DONE if verified.is_whole else ExitCode.PERSON,
    )  # fmt: skip


def _archived(verified: trail.Verified) -> str | None:
    if not verified.archived:
        return None
    read = "read too" if verified.is_read else "not read: --archive FOLDER reads them"
    return f"up to position {verified.archived} in files, {read}"


@command("head")
def head(app: App) -> Report:
    """Print the head of the chain, to be kept where nobody of this database can write: a mail, a ticket, paper.

    Example: tieout audit head
    """
    with app.database.connect() as session:
        trail.seal(session)
        end = trail.head(session)
    witness.note_audit_head(app.settings, end.position, end.digest)
    line = f"{end.position}:{end.digest}"
    return Report(
        data=_named(end),
        shown=[
            line,
            f"Later: `tieout audit verify --head {line}` proves that nothing before it was changed.",
        ],
    )


@command("seal")
def seal(app: App) -> Report:
    """Chain what is not sealed yet. Every command that writes does so at its end; this is for what a crash left.

    Example: tieout audit seal
    """
    with app.database.connect() as session:
        end = trail.seal(session)
    witness.note_audit_head(app.settings, end.position, end.digest)
    sentence = f"{end.sealed} facts sealed; the chain ends at {end.position}."
    left = f"{end.unsealed} were noted since {minute(end.oldest_unsealed)}." if end.unsealed else ""
    return Report(data={"sealed": end.sealed, **_named(end)}, shown=[sentence, *([left] if left else [])])


@command("recompute")
@click.argument("key", required=False)
@click.option(
    "--entry", type=int, help="The number of an entry, as `tieout why` names it; default: the last one sent."
)
@click.option("--connection", help="Where the key names records of several targets.")
@click.option("--entity", help="Where the key names several kinds of records.")
def recompute(
    app: App, key: str | None, entry: int | None, connection: str | None, entity: str | None
) -> Report:
    """Compute a past payload again, from the records, models and lookups of then, and say whether it is the one that was made.

    Example: tieout audit recompute shop/order/17/1

    Nothing is changed: it runs in a transaction that is rolled back. Exit code 3 when a field differs.
    """
    if key is None and entry is None:
        raise UsageError("Nothing is named.", cure="Give a key, or --entry NUMBER.")
    with app.database.connect() as session:
        found = again.recompute(session, key=key, entry=entry, connection=connection, entity=entity)
    differing = [*found.fields, *found.forgotten]
    then, now = (
        {name: side.get(name) for name in differing} for side in (found.payload, found.computed or {})
    )
    shown: list[RenderableType] = [
        verdict(found.is_equal is not False, found.sentence),
        facts(
            f"{found.entity} {found.key}",
            {
                "entry": f"{found.entry}: {found.operation} {found.outcome}",
                "made at (UTC)": found.made_at,
                "build": found.build and found.build[:8],
                "note": "\n".join(found.notes) or None,
            },
        ),
    ]
    if differing:
        rows = [(path, *sides) for path, sides in fields.rows((then, now)) if sides[0] != sides[1]]
        shown.append(table("Differing", ("field!", "made then", "computed now"), rows))
    return Report(
        data={
            "equal": found.is_equal, "sentence": found.sentence, "entry": found.entry, "connection": found.connection,
            "entity": found.entity, "key": found.key, "operation": found.operation, "outcome": found.outcome,
            "made_at": found.made_at, "build": found.build, "fields": list(found.fields), "forgotten": list(found.forgotten),
            "notes": list(found.notes), "payload": found.payload, "computed": found.computed,
        },
        shown=shown,
        exit_code=ExitCode.PERSON if found.is_equal is False else ExitCode.DONE,
    )  # fmt: skip


for each in (verify, head, seal, recompute):
    audit.add_command(each)


def _head(text: str) -> tuple[int, str]:
    given = _HEAD.fullmatch(text.strip())
    if given is None:
        raise UsageError(
            f"{text!r} is not a head.", cure="Give it as `tieout audit head` prints it: POSITION:DIGEST."
        )
    return int(given["position"]), given["digest"]


def _named(end: trail.Head) -> dict[str, object]:
    return {"position": end.position, "digest": end.digest, "unsealed": end.unsealed}
