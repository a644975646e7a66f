"""Forgetting: `forget`. A person is taken out of what is kept; what a source or target still shows is listed."""

from __future__ import annotations

import click
from rich.console import RenderableType

from cdc.forget import Forgotten
from cdc.forget import forget as taken_out
from console.frame import App, command
from console.report import Report, facts, table, verdict
from console.retaining import folder_of
from console.setup import person as who_decides


@command("forget")
@click.argument("person")
@click.option(
    "--reason", required=True, help="Kept with the note that somebody was forgotten; do not name the person."
)
@click.option("--yes", "is_done", is_flag=True, help="Do it. Without, it is only shown what would be done.")
def forget(app: App, person: str, reason: str, is_done: bool) -> Report:
    """Take a person's data out of everything that is kept; amounts, ids, dates and the audit stay valid.

    Example: tieout forget jane@example.com --reason "letter of 3 March" --yes

    PERSON is an e-mail, a customer's id (17 or shop/17), or one of our contact keys (shop/customer/17). What a source or target
    still shows is listed with what to do there first: then `tieout load`, and this command again.
    """
    with app.database.connect() as session:
        found = taken_out(
            session, person, by=who_decides(), reason=reason, is_done=is_done, folder=folder_of(app.settings)
        )
    rows = sum(found.counts.values())
    does = "Taken out of" if is_done else "Would be taken out of"
    sources = sum(1 for one in found.shown if one.is_source)
    good = not sources
    sentence = f"{does} {rows} rows; {found.records} records of sources and targets are the person's."
    if sources:
        sentence += " A source still shows the person: links and open entries keep what its models need until it does not."
    shown: list[RenderableType] = [verdict(good, sentence)]
    if found.shown:
        shown.append(
            table(
                "Still shown, to be done there first",
                ("connection", "record", "what to do"),
                [(one.connection, f"{one.stream} {one.id}", one.to_do) for one in found.shown],
            )
        )
    shown.append(
        table(does, ("table", "rows#"), sorted(found.counts.items()), empty="Nothing is kept of the person.")
    )
    if found.kept:
        shown.append(
            table("Still kept, until no source shows it", ("table", "rows#"), sorted(found.kept.items()))
        )
    files = [(name, "names the person") for name in found.archived]
    files += [(name, "is not where it was written: not looked at") for name in found.unread]
    if files:
        title = "Archived files, which nobody changes: delete them with all their copies, or keep them for as long as the law says"
        shown.append(table(title, ("file", "it"), files))
    if is_done:
        shown.append(
            facts("On record", {"forgetting": str(found.forgetting), "proof": "tieout audit verify"})
        )
    else:
        shown.append("Nothing was changed. With --yes it is done.")
    return Report(data=_data(found), shown=shown)


def _data(found: Forgotten) -> dict[str, object]:
    return {
        "done": found.is_done, "forgetting": found.forgetting, "records": found.records, "counts": dict(found.counts),
        "kept": dict(found.kept), "archived": list(found.archived), "archived_unread": list(found.unread),
        "shown": [
            {
                "connection": one.connection, "system": one.system, "stream": one.stream, "id": one.id, "to_do": one.to_do,
                "is_source": one.is_source,
            }
            for one in found.shown
        ],
    }  # fmt: skip
