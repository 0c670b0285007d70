"""What changed from one revision of a quote to the next, and why: line by line, and of what stands around the lines."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from service.quoting.difference import Change, changes

Compared = Mapping[str, bool | int | float | str | Decimal | None]


class LineFate(StrEnum):
    """What became of a line."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """What is compared of a revision: each line by its id, causes (versions, terms, option) and sums by name."""

    lines: Mapping[str, Compared]
    causes: Compared
    sums: Compared


@dataclass(frozen=True, slots=True, kw_only=True)
class LineChange:
    """One line that is not the same; of a line that came or went, `changes` name all that it says."""

    line: str
    fate: LineFate
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisionDifference:
    """Why (causes), what (lines), and what it comes to (sums); all empty between equal revisions."""

    causes: tuple[Change, ...]
    lines: tuple[LineChange, ...]
    sums: tuple[Change, ...]


def revision_difference(old: Revision, new: Revision) -> RevisionDifference:
    """What differs from the old revision to the new one."""
    found = []
    for name in dict.fromkeys((*old.lines, *new.lines)):
        before, after = old.lines.get(name), new.lines.get(name)
        fate = LineFate.ADDED if before is None else LineFate.REMOVED if after is None else LineFate.CHANGED
        differing = tuple(changes(before or {}, after or {}))
        if differing:
            found.append(LineChange(line=name, fate=fate, changes=differing))
    return RevisionDifference(
        causes=tuple(changes(old.causes, new.causes)), lines=tuple(found), sums=tuple(changes(old.sums, new.sums))
    )
