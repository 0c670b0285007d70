"""The table of the README: what stands between two comments is replaced by this run's."""

from collections.abc import Sequence
from pathlib import Path

from scripts.benchmark.table import Section, markdown
from scripts.benchmark.targets import Target
from scripts.trouble import Trouble

BEGIN = "<!-- bench: scripts/bench --write-readme replaces what follows -->"
END = "<!-- end of the bench -->"


def text(machine: str, sections: Sequence[Section], verdicts: Sequence[Target]) -> str:
    """The whole part: where it was measured, the tables, the verdicts."""
    parts = [f"Measured in one run on {machine}.", *(markdown(section) for section in sections)]
    if verdicts:
        parts.append("\n".join(f"- {verdict.sentence()}" for verdict in verdicts))
    return "\n\n".join(parts)


def replaced(document: str, part: str) -> str:
    """The document with the part between its marks; trouble where they are not there once each, in order."""
    before, begin, rest = document.partition(BEGIN)
    old, end, after = rest.partition(END)
    if not begin or not end or BEGIN in old or BEGIN in after or END in after:
        raise Trouble(f"README.md must have `{BEGIN}` and `{END}` once each, in this order.")
    return f"{before}{BEGIN}\n\n{part}\n\n{END}{after}"


def write(path: Path, part: str) -> None:
    """Replace the part in the file."""
    path.write_text(replaced(path.read_text(encoding="utf-8"), part), encoding="utf-8")
