"""/runs: what was sized, and one result: the answer, how sure it is, what it rests on, and how it was found."""

from dataclasses import dataclass
from typing import Any

import orjson
from flask import Response, abort, request

from service.access import Permission
from service.edge.context import caller, runtime
from service.edge.pages import PageBlueprint
from service.planning.load_curve import load_curve
from service.planning.named_runs import named_runs
from service.planning.preview import AnsweredRun, answered_run
from service.planning.published import points_of
from service.planning.reading import get_run, get_workload
from service.planning.working import option_working
from service.quoting.quote import assumed_with
from service.store.filters import RunFilter
from service.store.tables.runs import OPEN, RunStatus
from service.web.answer import AnswerView, OptionRow, answer_view, bounds
from service.web.asked import what_was_asked
from service.web.charts.load import load_charts
from service.web.charts.memory import memory_chart
from service.web.charts.pareto import pareto_chart
from service.web.charts.racks import rack_drawing
from service.web.charts.tornado import tornado_charts
from service.web.form.of_kind import form_of_question
from service.web.rendering import page

blueprint = PageBlueprint("runs", __name__, permission=Permission.RUNS)

_PER_PAGE = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shown:
    """An answer and the option of it that is looked at."""

    found: AnsweredRun
    answer: AnswerView
    row: OptionRow | None


@blueprint.get("/runs")
def list_runs() -> Response:
    """What was sized, newest first."""
    only = RunFilter(
        status=next((status for status in RunStatus if status.value == request.args.get("status")), None),
        kind=request.args.get("kind") or None,
    )
    found = named_runs(runtime(), caller(), only=only, before_id=request.args.get("before"), limit=_PER_PAGE + 1)
    return page(
        "runs.html",
        runs=found[:_PER_PAGE],
        older=found[_PER_PAGE - 1].run.id if len(found) > _PER_PAGE else None,
        asked=request.args,
        statuses=tuple(RunStatus),
    )


@blueprint.get("/runs/<run_id>")
def show_run(run_id: str) -> Response:
    """One result; while it is worked on the page asks again by itself."""
    run = get_run(runtime(), caller(), run_id)
    name = get_workload(runtime(), caller(), run.workload_id).name
    if run.result is None:
        # A page that waits in a page is asked for as a part: it stays as it is until there is something new.
        if request.headers.get("HX-Request") == "true" and run.status in OPEN:
            return Response(status=204)
        return page("run_open.html", run=run, name=name, open=run.status in OPEN)
    return page("run.html", run=run, name=name, **_result(run_id))


def _result(run_id: str) -> dict[str, Any]:
    shown = _shown(run_id)
    question, priced = shown.found.question, shown.found.priced
    hardware = runtime().catalog.hardware
    result = priced.result
    body = orjson.loads(shown.found.run.question)
    told = {
        "answer": shown.answer,
        "question": question,
        "asked": what_was_asked(question, body, form_of_question(body)),
    }
    if shown.row is None:
        return {**told, "row": None, "assumed": result.assumed}
    option = shown.row.option
    metrics = {metric.name: metric.interval.p50 for metric in option.metrics}
    nearest = {name for metric in option.metrics for name in metric.nearest}
    best = result.options[0]
    return {
        **told,
        "row": shown.row,
        "assumed": assumed_with(option, result.assumed),
        "pareto": pareto_chart(shown.answer),
        "loads": load_charts(
            load_curve(runtime(), question, option),
            bounds=bounds(question.workload),
            asked_requests_s=metrics.get("requests_s"),
        ),
        "memory": memory_chart(option),
        "racks": rack_drawing(option, hardware, question.constraints),
        "tornadoes": tornado_charts(
            result.sensitivity,
            now={
                "servers": float(best.servers),
                "gpus": float(best.gpus),
                **{metric.name: metric.interval.p50 for metric in best.metrics},
            },
        ),
        "nearest": points_of(runtime().catalog, nearest),
    }


def _shown(run_id: str) -> _Shown:
    found = answered_run(runtime(), caller(), run_id)
    answer = answer_view(found.question, found.priced, runtime().catalog.hardware)
    wanted = request.args.get("option", "1")
    row = next((row for row in answer.rows if str(row.option.rank) == wanted), None)
    if row is None and answer.rows:
        abort(404)
    return _Shown(found=found, answer=answer, row=row)


@blueprint.get("/runs/<run_id>/options/<rank>/working")
def show_working(run_id: str, rank: str) -> Response:
    """How each number of an option was found, in the order in which it was."""
    working = option_working(runtime(), caller(), run_id, rank=rank)
    part = request.headers.get("HX-Request") == "true"
    return page("working_part.html" if part else "working.html", working=working)
