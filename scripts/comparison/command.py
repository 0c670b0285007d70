"""scripts/compare: which answers moved between two revisions, by how much, and which stopped working."""

import json
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape

from config.environment import ROOT
from scripts.comparison.revisions import Answers, asked, tree_of
from scripts.comparison.sample import Question, questions
from scripts.comparison.verdict import Judged, Verdict, counted, judged
from scripts.options import parse
from scripts.trouble import Trouble
from service.client.answers import make_console, plain_table

STOPPED = 1
WRONG = 2
_TOLD = 25
_LINES = 4
_SHOWN = frozenset({Verdict.STOPPED, Verdict.FITS_NO_MORE, Verdict.FITS_NOW, Verdict.MOVED, Verdict.STARTED})


def main(arguments: list[str], given: Sequence[Question] | None = None) -> int:
    """Compare; 1 only when something that was answered before fails now. A caller from Python may give questions."""
    options = parse("compare", arguments)
    everything = questions(ROOT / "config" / "examples") if given is None else given
    chosen = [one for one in everything if options.only is None or options.only in one.name]
    if not chosen:
        print(f"headroom: no question has {options.only!r} in its name.", file=sys.stderr)
        return WRONG
    try:
        old, new = (_asked(revision, chosen) for revision in (options.old, options.new))
    except Trouble as trouble:
        print(f"headroom: {trouble}", file=sys.stderr)
        return trouble.code
    found = judged(old, new, threshold_fraction=options.threshold)
    if options.json:
        _print_json(old, new, found)
    else:
        _print(make_console(), old, new, found)
    return ending(found)


def ending(found: Sequence[Judged]) -> int:
    """The exit code: however much moved, only what stopped working stops whoever asks."""
    return STOPPED if any(one.verdict is Verdict.STOPPED for one in found) else 0


def _asked(revision: str, chosen: Sequence[Question]) -> Answers:
    with tree_of(revision) as (spelled, tree):
        print(f"Asking {spelled} {len(chosen)} questions ...", file=sys.stderr)
        return asked(spelled, tree, chosen)


def _print_json(old: Answers, new: Answers, found: tuple[Judged, ...]) -> None:
    document = {
        "old": {"revision": old.revision, **old.versions},
        "new": {"revision": new.revision, **new.versions},
        "questions": len(found),
        "counts": counted(found),
        "answers": [one.document() for one in found if one.verdict not in {Verdict.SAME, Verdict.FAILS_STILL}],
    }
    print(json.dumps(document, indent=2))


def _print(console: Console, old: Answers, new: Answers, found: tuple[Judged, ...]) -> None:
    for answers in (old, new):
        versions = ", ".join(f"{name} {version[:19]}" for name, version in answers.versions.items())
        console.print(f"{answers.revision}: {versions}", markup=False, soft_wrap=True)
    counts = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counted(found).items() if count)
    console.print(f"{len(found)} questions: {counts}", markup=False, soft_wrap=True)
    shown = [one for one in found if one.verdict in _SHOWN]
    if not shown:
        return
    table = plain_table("question", "verdict", "quantity", "old", "new", "by")
    for one in shown[:_TOLD]:
        cells = [(one.name, one.verdict.value.replace("_", " "), one.error or "", "", "", "")]
        if one.changes:
            cells = [
                (
                    *((one.name, one.verdict.value.replace("_", " ")) if not place else ("", "")),
                    change.quantity,
                    *(_spelled(change.old), _spelled(change.new)),
                    "" if change.change_fraction is None else f"{change.change_fraction:+.1%}",
                )
                for place, change in enumerate(one.told(_LINES))
            ]
        for row in cells:
            table.add_row(*(escape(cell) for cell in row))
    console.print(table)
    if len(shown) > _TOLD:
        console.print(f"... and {len(shown) - _TOLD} more; --json tells all of them.", markup=False)


def _spelled(value: object) -> str:
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
