"""size_training: every legal layout on every server; the fewest and cheapest GPUs, or the shortest time."""

import numpy as np

from service.errors import InvalidRequestError, PlannerError
from service.sizing.admission import admissible
from service.sizing.architecture import ModelArchitecture
from service.sizing.calibration import Calibration
from service.sizing.joint import Sizing, side_by_side
from service.sizing.rank import Verdict, pareto_front, rejections
from service.sizing.result import Assumed, Rejection, Sensitivity, SizingResult
from service.sizing.site import fleet_power_w, fleet_weight
from service.sizing.table import HardwareTable, IntArray, table_of
from service.sizing.terms import Terms
from service.sizing.training.asks import FleetAsk, shared_steps
from service.sizing.training.context import check_sequence
from service.sizing.training.evaluate import awkward_batch, training_assumptions
from service.sizing.training.explain import Certainty, certainty_of
from service.sizing.training.fleet import Fleet
from service.sizing.training.job import Job, job_of
from service.sizing.training.judge import judge, named_in_days, nearest_miss, ranked_rows
from service.sizing.training.options import OptionContext, training_option
from service.sizing.version import ENGINE_VERSION
from service.sizing.workload import Question, TrainingWorkload, budget_usd

_SENSITIVE = (
    "training.failure_interval_gpu_h",
    "training.restart_min",
    "training.checkpoint_stall_fraction",
    "training.evaluation_fraction",
)


def size_training(question: Question, architecture: ModelArchitecture, *, terms: Terms) -> SizingResult:
    """As `sizing_of_training`, of one question alone."""
    (found,) = side_by_side([sizing_of_training(question, architecture, terms=terms)])
    if isinstance(found, PlannerError):
        raise found
    return found


def sizing_of_training(question: Question, architecture: ModelArchitecture, *, terms: Terms) -> Sizing[SizingResult]:
    """Ranked options for a training workload; feasible=False with the distance when nothing meets the target.

    Raises InvalidRequestError when no layout divides the global batch, UnsupportedWorkloadError for a precision that
    cannot train.
    """
    workload = question.workload
    if not isinstance(workload, TrainingWorkload):
        raise InvalidRequestError("workload.kind must be 'training' here")
    check_sequence(workload, architecture)
    calibration, table = terms.calibration, table_of(terms.hardware)
    job = job_of(workload, architecture, calibration, confidence_fraction=question.constraints.min_confidence_fraction)
    most = int(calibration.assumption("fleet.max_gpus"))
    rows, refused = admissible(table, question.constraints)
    job, steps = yield from shared_steps(
        job, gpus=workload.target.gpus, most_gpus=most, rows=rows, table=table, calibration=calibration
    )
    (fleet,) = yield [FleetAsk(job=job, steps=steps, table=table)]
    certainties = _certainties(job, fleet, rows, subject=architecture.id, table=table, calibration=calibration)
    verdict = judge(
        question,
        job,
        fleet,
        hardware=terms.hardware,
        table=table,
        certainties=certainties,
        weight=terms.weight,
        limit=budget_usd(question),
        desktop_most_systems=calibration.assumption("fleet.desktop_most_systems"),
    )
    assumed = (*training_assumptions(workload, job, architecture, calibration), *awkward_batch(workload))
    context = OptionContext(
        job=job,
        hardware=terms.hardware,
        table=table,
        calibration=calibration,
        constraints=question.constraints,
        explained=not terms.best_only,
    )
    return _result(
        fleet,
        verdict,
        context=context,
        certainties=certainties,
        terms=terms,
        refused=refused,
        assumed=assumed,
    )


def _certainties(
    job: Job, fleet: Fleet, rows: IntArray, *, subject: str, table: HardwareTable, calibration: Calibration
) -> dict[int, Certainty]:
    """By server; those of one GPU and as many of them have one."""
    alike = {row: (table.gpus[row].id, _typical(fleet, row)) for row in rows.tolist()}
    specs = {table.gpus[row].id: table.gpus[row] for row in rows.tolist()}
    known = {
        (gpu, gpus): certainty_of(job, calibration, subject=subject, gpu=specs[gpu], gpus=gpus)
        for gpu, gpus in set(alike.values())
    }
    return {row: known[those] for row, those in alike.items()}


def _typical(fleet: Fleet, row: int) -> int:
    """The middle GPU count of a server's rows, for finding evidence near it."""
    counts = fleet.gpus[fleet.server == row]
    return int(np.sort(counts)[counts.size // 2]) if counts.size else 1


def _result(
    fleet: Fleet,
    verdict: Verdict,
    *,
    context: OptionContext,
    certainties: dict[int, Certainty],
    terms: Terms,
    refused: tuple[Rejection, ...],
    assumed: tuple[Assumed, ...],
) -> SizingResult:
    job, table, weight, best_only = context.job, context.table, terms.weight, terms.best_only
    ranked = ranked_rows(fleet, verdict, job=job, table=table, weight=weight)
    options = tuple(
        training_option(
            context,
            fleet,
            row=int(row),
            rank=position + 1,
            certainty=certainties[int(fleet.server[row])],
        )
        for position, row in enumerate(ranked[:1] if best_only else ranked)
    )
    rejected: tuple[Rejection, ...] = ()
    if not (best_only and options):
        rejected = (*refused, *named_in_days(rejections(verdict, server=fleet.server, table=table)))
    front = pareto_front(
        cost_weight=fleet_weight(weight, fleet.server[ranked], fleet.servers[ranked]),
        speed=1.0 / fleet.days[ranked],
        power_w=fleet_power_w(table, fleet.server[ranked], fleet.servers[ranked]),
    )
    return SizingResult(
        kind="training",
        feasible=bool(options),
        options=options,
        pareto=tuple(int(i) + 1 for i in np.flatnonzero(front)),
        rejected=rejected,
        shortfall=None if options else nearest_miss(fleet, rejected, context),
        sensitivity=() if best_only else _sensitivity(fleet, ranked, context),
        assumed=assumed,
        candidates=fleet.tried,
        engine_version=ENGINE_VERSION,
    )


def _sensitivity(fleet: Fleet, ranked: IntArray, context: OptionContext) -> tuple[Sensitivity, ...]:
    """How the days of the first option move when one judgement on lost hours moves between its bounds."""
    if not ranked.size:
        return ()
    best = int(ranked[0])
    found = []
    for name in _SENSITIVE:
        entry = context.calibration.assumptions[name]
        low, high = (
            context.days_with(name, value, step_s=fleet.step_s[best], gpus=int(fleet.gpus[best]))
            for value in (entry.low, entry.high)
        )
        found.append(
            Sensitivity(
                assumption=name,
                low=entry.low,
                high=entry.high,
                metric="time_to_train_days",
                at_low=low,
                at_high=high,
            )
        )
    return tuple(sorted(found, key=lambda s: (-abs(s.at_high - s.at_low), s.assumption)))
