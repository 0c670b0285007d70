"""/compare: two to four answers side by side, with what differs marked, and what would be if the question moved."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from flask import Response, request
from marshmallow import ValidationError

from service.access import Permission
from service.documents.labels import label
from service.edge.context import caller, request_id, runtime
from service.edge.pages import PageBlueprint
from service.errors import InvalidRequestError, PlannerError
from service.planning.named_runs import named_runs
from service.planning.preview import answered_run, preview
from service.planning.reading import get_workload
from service.schemas.issue import field_errors
from service.schemas.workload import QUESTION, SizingRequestSchema
from service.store.filters import RunFilter
from service.store.tables.runs import RunStatus
from service.web.answer import AnswerView, OptionRow, answer_view
from service.web.rendering import page
from service.web.titles import title as title_of
from service.web.what_if import REACH, STEP, WhatIf, moved_question, what_if
from service.web.wording import confidence, digits, quantity

blueprint = PageBlueprint("compare", __name__, permission=Permission.RUNS)

MOST = 4
_OFFERED = 30
# What somebody typed is told as it was typed, not in the digits of a prediction.
_ALL_DIGITS = 12
_REQUEST = SizingRequestSchema()


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One answer, and the option of it that is compared; `run_id` is empty for what is only supposed."""

    title: str
    run_id: str
    answer: AnswerView
    row: OptionRow | None
    question: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One quantity across the columns: a metric, or words; `differs` where they are not all the same."""

    label: str
    cells: tuple[Any, ...]
    is_metric: bool
    differs: bool


@blueprint.get("/compare")
def compare() -> Response:
    """The answers that were chosen, or those to choose from."""
    chosen = list(dict.fromkeys(request.args.getlist("run")))[:MOST]
    if not chosen:
        done = named_runs(runtime(), caller(), only=RunFilter(status=RunStatus.DONE), limit=_OFFERED)
        return page("compare_choose.html", runs=done)
    columns = [_column(one) for one in chosen]
    moves = what_if(_kind(columns[0]), columns[0].question, {})
    return page("compare.html", chosen=chosen, moves=moves, reach=REACH, step=STEP, problem=None, **_table(columns))


@blueprint.post("/compare/what-if")
def suppose() -> Response:
    """The table with one more column: the first question, moved."""
    typed = request.form.to_dict()
    chosen = list(dict.fromkeys(request.form.getlist("run")))[: MOST - 1]
    if not chosen:
        raise InvalidRequestError("Choose a run to suppose from.")
    columns = [_column(one) for one in chosen]
    moves = what_if(_kind(columns[0]), columns[0].question, typed)
    problem = None
    try:
        columns.append(_supposed(columns[0], moves))
    except ValidationError as error:
        problem = "; ".join(f"{one.field}: {one.message}" for one in field_errors(error.messages))
    except PlannerError as error:
        problem = error.message
    return page("compare_table.html", moves=moves, problem=problem, oob=True, **_table(columns))


def _kind(column: Column) -> str:
    return str(column.question["workload"]["kind"])


def _column(chosen: str) -> Column:
    """A run, or one of its options: the id, or the id, a colon and the rank."""
    run_id, _, rank = chosen.partition(":")
    found = answered_run(runtime(), caller(), run_id)
    answer = answer_view(found.question, found.priced, runtime().catalog.hardware)
    name = get_workload(runtime(), caller(), found.run.workload_id).name
    row = next((row for row in answer.rows if str(row.option.rank) == (rank or "1")), None)
    title = f"{title_of(name, found.run.question)}{f', option {rank}' if rank else ''}"
    return Column(title=title, run_id=run_id, answer=answer, row=row, question=orjson.loads(found.run.question))


def _supposed(base: Column, moves: WhatIf) -> Column:
    request_ = _REQUEST.load(moved_question(base.question, moves))
    found = preview(runtime(), caller(), request_, request_id=request_id())
    answer = answer_view(found.question, found.priced, runtime().catalog.hardware)
    question = QUESTION.dump(found.question)
    return Column(title="What if", run_id="", answer=answer, row=answer.best, question=question)


def _table(columns: Sequence[Column]) -> dict[str, Any]:
    return {
        "columns": columns,
        "asked": tuple(line for line in _asked(columns) if line.differs),
        "lines": tuple(_lines(columns)),
    }


def _asked(columns: Sequence[Column]) -> Iterator[Line]:
    flat = [dict(_flat(column.question)) for column in columns]
    for name in dict.fromkeys(name for one in flat for name in one):
        yield _line(name, [one.get(name) for one in flat])


def _flat(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _flat(inner, f"{prefix}.{name}" if prefix else str(name))
    elif value is not None:
        yield prefix, ", ".join(map(_told, value)) if isinstance(value, list) else _told(value)


def _told(value: Any) -> str:
    """What was asked, in all its digits: 10,000; a word as it is."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value).lower() if isinstance(value, bool) else str(value)
    return digits(value, _ALL_DIGITS)


def _cost(row: OptionRow) -> str | None:
    """What has a price; said to be the least where a part that belongs into the sum has none."""
    if not row.total_usd:
        return None
    return f"{'from ' if row.lacks_servers else ''}${row.total_usd:,.0f}"


def _lines(columns: Sequence[Column]) -> Iterator[Line]:
    rows = [column.row for column in columns]
    yield _line("Servers", [row and f"{row.option.servers:,} \u00d7 {row.server}" for row in rows])
    yield _line("GPUs", [row and f"{row.option.gpus:,} {row.gpu}" for row in rows])
    yield _line("Layout", [row and _layout(row) for row in rows])
    yield _line("Confidence", [row and confidence(row.option.confidence_fraction) for row in rows])
    names = dict.fromkeys(figure.metric.name for row in rows if row for figure in (*row.first, *row.others))
    for name in names:
        figures = [row and next((f for f in (*row.first, *row.others) if f.metric.name == name), None) for row in rows]
        yield _line(label(name), figures, is_metric=True)
    yield _line("Indicative cost, US$", [row and _cost(row) for row in rows])
    for words, attribute in (("Power at the meter", "facility_power_kw"), ("Racks", "racks"), ("Weight", "weight_kg")):
        values = [getattr(row.option.facility, attribute) if row else None for row in rows]
        yield _line(words, [None if value is None else quantity(value, attribute) for value in values])
    yield _line("What binds", [row and label(row.option.bottleneck) for row in rows])


def _line(label: str, cells: Sequence[Any], *, is_metric: bool = False) -> Line:
    shown = [cell.metric.interval if is_metric and cell else cell for cell in cells]
    return Line(label=label, cells=tuple(cells), is_metric=is_metric, differs=any(one != shown[0] for one in shown[1:]))


def _layout(row: OptionRow) -> str:
    layout = row.option.layout
    degrees = (("TP", layout.tp), ("PP", layout.pp), ("EP", layout.ep), ("DP", layout.dp))
    parts = [f"{name}{degree}" for name, degree in degrees if degree > 1] or ["one GPU"]
    return f"{row.option.replicas} \u00d7 {' '.join(parts)}, {row.option.mode}"
