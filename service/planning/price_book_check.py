"""Lines of a price book against what bills of materials ask for: prices of another unit are refused, oddities named."""

from collections.abc import Iterable, Mapping

from service.planning.price_book_view import BookWarning
from service.quoting.book_units import KnownPart, known_parts, same_unit, unit_in_words
from service.quoting.refusal import field_error, refused
from service.runtime import Runtime
from service.schemas.issue import MAX_ISSUES, Issue, nearest
from service.schemas.price_books import BookLine, in_row

_NEVER_ASKED = "No bill of materials names such a part, so this price is never asked for."


def parts_asked_for(runtime: Runtime) -> Mapping[str, KnownPart]:
    """Every part that a bill of materials can name, by id."""
    return known_parts(runtime.catalog.bom_rules, runtime.catalog.hardware)


def check_lines(lines: Iterable[BookLine], known: Mapping[str, KnownPart]) -> None:
    """Raises InvalidRequestError naming every line whose price would be taken for that of something else."""
    wrong = [
        field_error(f"lines.{place}.{name}", in_row(line.row, issue), value=issue.value, limit=issue.limit)
        for place, line in enumerate(lines)
        for name, issues in wrong_of(line, known).items()
        for issue in issues
    ]
    if wrong:
        raise refused(wrong[:MAX_ISSUES])


def wrong_of(line: BookLine, known: Mapping[str, KnownPart]) -> Mapping[str, list[Issue]]:
    """By field what would make the line's price be taken for that of something else."""
    asked = known.get(line.part)
    found: dict[str, list[Issue]] = {}
    if asked is None:
        return found
    if line.kind is not asked.kind:
        message = f"{line.part} is counted as {asked.kind}, and this calls it {line.kind}."
        found["kind"] = [Issue(message, value=line.kind, limit=str(asked.kind))]
    if not same_unit(line.unit, unit=asked.unit, kind=asked.kind, charge=asked.charge):
        message = f"{line.part} is counted by the {asked.unit}: give the list price of one {asked.unit}, and that unit."
        found["unit"] = [Issue(message, value=line.unit, limit=unit_in_words(asked))]
    return found


def warnings_of(parts: Iterable[tuple[str, int | None]], known: Mapping[str, KnownPart]) -> tuple[BookWarning, ...]:
    """A word on each part, with the row that it stands in, that no bill of materials names."""
    strange = [(place, part, row) for place, (part, row) in enumerate(parts) if part not in known]
    return tuple(
        BookWarning(
            line=place,
            row=row,
            part=part,
            message=_NEVER_ASKED,
            # Likeness takes a while to judge, and whoever has thousands of parts of his own mistyped none of them.
            did_you_mean=nearest(part, known) if number < MAX_ISSUES else (),
        )
        for number, (place, part, row) in enumerate(strange)
    )
