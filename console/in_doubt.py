"""docs/in_doubt.md: how each write of ours is found again when its answer never came, from the writers' declarations.

Written with the reference by `python -m console.reference`; a test compares it with what this module makes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from cdc.doubt import MOST_ROUNDS, SECONDS_OF_ROUNDS
from cdc.judging import MOST_SENDINGS, PAUSES
from cdc.writing import Write, open_writers
from tieout.systems import SYSTEMS

FILE = Path("docs") / "in_doubt.md"
_HEAD = f"""\
# In doubt

Made by `python -m console.reference` from the writers; do not edit.

An answer may get lost after the target did the work. Then nobody knows, and sending again could make a second document. So
every call is on record before it leaves, a call without an answer is *in doubt*, and nothing else is written to that target
until it was asked. What was asked, what it showed and the verdict for each key stay with the call: `tieout why KEY`.

1. Inside the vendor's window the same call goes out again, with the same key and body: the vendor answers from memory.
2. Else, once the target had time to settle, it is asked by our mark, then by what names the record apart from that.
3. One record is ours: it is linked. Somebody else's, two of ours, one that may be ours under another number: a person decides.
4. None: believed only when its list was also loaded to the end after the sending. Then it is sent again.
5. Sent again {MOST_SENDINGS} times without an answer (after {", ".join(f"{pause:.0f}" for pause in PAUSES)} seconds, from the second time on alone in its call): a dead
   letter, `never answered`. Asked {MOST_ROUNDS} times and {SECONDS_OF_ROUNDS / 60:.0f} minutes in vain: `outcome unknown`, a dead letter that stops only what
   refers to it, and that each drain asks about once more.
"""


def text() -> str:
    """The whole page."""
    written = [system for system in SYSTEMS if system.writes]
    return "\n".join([_HEAD, *(line for system in written for line in _system(system.name, system.title))])


def _system(name: str, title: str) -> Iterator[str]:
    yield from (f"## {title}", "")
    yield "| entity | our mark | what else names it | how it is asked | the same create again | settles in | same call again within |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    writes = open_writers(name).values()
    for write in writes:
        yield _row(write)
    yield from ("", "What stays open, and how it shows:", "")
    yield from (f"- `{write.entity}`: {write.finding.window}" for write in writes if write.finding.window)
    closed = ", ".join(f"`{write.entity}`" for write in writes if not write.finding.window)
    if closed:
        yield f"- Nothing for {closed}."
    yield ""


def _row(write: Write) -> str:
    finding = write.finding
    cells = (
        f"`{write.entity}`",
        finding.mark or "no room for one",
        finding.natural,
        finding.asked if finding.can_tell else "cannot be asked: a person looks",
        finding.twice,
        f"{write.settling_seconds} s",
        f"{write.replay_seconds} s" if write.replay_seconds else "never",
    )
    return f"| {' | '.join(cells)} |"
