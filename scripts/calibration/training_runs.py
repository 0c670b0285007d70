"""Measured trainings -> what the engine composes for each, stacked: one row a run, so that a fit tries all at once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import orjson

from scripts.calibration.refusals import Refuse, unheard
from service.catalog.catalog import Catalog
from service.errors import PlannerError
from service.planning.accuracy import widening_of
from service.planning.rerun.run import Evaluated
from service.planning.rerun.training import evaluate_training, training_metrics
from service.schemas.coordinates import coordinates
from service.schemas.evidence import read_measured
from service.schemas.measured import MeasuredTraining
from service.sizing.operation import Curves
from service.sizing.place import placed_server
from service.sizing.result import ParallelLayout
from service.sizing.table import HardwareTable, IntArray, build_table
from service.sizing.training.coefficients import software_age_years
from service.sizing.training.job import Job, job_of, run_rates, table_rates
from service.sizing.training.layouts import RECOMPUTES, SHARDINGS, Layouts
from service.sizing.training.products import LayerProducts
from service.sizing.training.rates import Rates, generation, is_captured
from service.sizing.training.recipe import Recipe, band, regime
from service.sizing.training.rollout import Decoding
from service.sizing.training.shape import Shape
from service.sizing.workload import Recompute, Sharding, TrainingWorkload

# Metrics that say how long a step takes, and whether they grow with it.
_TIMES = {"step_time_s": 1.0, "time_per_1000_iterations_min": 1.0}
_RATES = {"tokens_s_gpu": -1.0, "tokens_s": -1.0, "samples_s": -1.0, "model_tflops_gpu": -1.0}
_PACE = _TIMES | _RATES
# The logarithm of a time that nobody can measure.
_NO_TIME = -700.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingPlace:
    """What a run is, for folds, weights and regimes."""

    id: str
    source: str
    model: str
    gpu: str
    precision: str
    regime: str
    # Whose residuals are its own: its regime's, but of stacks as frameworks bring them.
    band: str
    group: tuple[str, ...]
    generation: str
    recipe: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainingRun:
    """One run as the engine composes it: a row of layouts, its job, its rates, and the step that was measured.

    `widening`: by what the interval of its pace is stretched for what it leaves unsaid.
    """

    place: TrainingPlace
    job: Job
    layouts: Layouts
    rates: Rates
    bare_up_bytes_s: float
    bare_out_bytes_s: float
    linked: bool
    captured: bool
    age_years: float
    software_years: float
    measured_step_s: float
    widening: float


def training_runs(
    catalog: Catalog, path: Path, say: Callable[[str], None], refuse: Refuse = unheard
) -> list[TrainingRun]:
    """The runs of a file that may be fitted: timings whose split is calibration and that state a pace.

    `refuse` is told of each that the engine refuses.
    """
    found = []
    lines = path.read_bytes().splitlines()
    for number, line in enumerate(lines, start=1):
        raw = orjson.loads(line)
        run = read_measured(raw)
        if raw.get("split") == "calibration" and isinstance(run, MeasuredTraining):
            made = _training_run(catalog, run, coordinates(raw).group, refuse)
            found += [] if made is None else [made]
        if number % 200 == 0:
            say(f"composed {number} of {len(lines)} trainings")
    return found


def _training_run(
    catalog: Catalog, run: MeasuredTraining, group: tuple[str, ...], refuse: Refuse
) -> TrainingRun | None:
    """The run; None where it states no pace, or the engine refuses it."""
    pace = [name for name in _PACE if isinstance(run.measured.get(name), int | float)]
    if not pace:
        return None
    try:
        evaluated = evaluate_training(catalog, run)
    except PlannerError as error:
        refuse(run.id, error)
        return None
    rerun = evaluated.rerun
    assert isinstance(rerun.workload, TrainingWorkload)
    assert rerun.architecture is not None
    calibration, deployment = catalog.calibration, rerun.deployment
    job = job_of(
        rerun.workload,
        rerun.architecture,
        calibration,
        month=deployment.software_month,
        plain_stack=deployment.plain_stack,
        vendor_kernels=deployment.vendor_kernels,
    )
    server, gpu, _ = placed_server(deployment, catalog.hardware)
    table = build_table((server,), (gpu,))
    layouts = _row((evaluated.pace or evaluated.estimate).layout)
    found = training_metrics(run, evaluated)
    # Whatever was published becomes a step: all of them go with it, or with its inverse.
    name = pace[0]
    ratio = float(run.measured[name]) / found[name].interval.p50
    return TrainingRun(
        place=place_of(evaluated, catalog, run.id, group),
        job=job,
        layouts=layouts,
        rates=_rates(job, table, layouts, catalog),
        bare_up_bytes_s=float(table.scale_up_bytes_s[0]),
        bare_out_bytes_s=float(table.scale_out_bytes_s[0]),
        linked=bool(table.domain_gpus[0] > 1),
        captured=bool(is_captured(table)[0]),
        software_years=job.software_years,
        age_years=software_age_years(calibration, deployment.software_month),
        measured_step_s=found["step_time_s"].interval.p50 * ratio ** _PACE[name],
        widening=widening_of(calibration, rerun, name),
    )


def place_of(evaluated: Evaluated, catalog: Catalog, run_id: str | None, group: tuple[str, ...]) -> TrainingPlace:
    """What a run is; `group` holds kind, source, model, GPU, precision and method."""
    rerun = evaluated.rerun
    assert isinstance(rerun.workload, TrainingWorkload)
    assert rerun.architecture is not None
    plain = rerun.deployment.plain_stack
    job = job_of(rerun.workload, rerun.architecture, catalog.calibration, plain_stack=plain)
    gpu = catalog.hardware.gpu(rerun.deployment.gpu)
    return TrainingPlace(
        id=str(run_id),
        source=group[1],
        model=rerun.architecture.id,
        gpu=gpu.id,
        precision=str(job.recipe.compute),
        regime=regime(job.recipe, moe=job.shape.is_moe),
        band=band(job.recipe, moe=job.shape.is_moe),
        group=group,
        generation=generation(gpu),
        recipe=str(rerun.workload.precision_recipe),
    )


def _row(layout: ParallelLayout) -> Layouts:
    """A stated layout as one row."""

    def one(value: int) -> IntArray:
        return np.array([value], dtype=np.int64)

    degrees = {name: one(getattr(layout, name)) for name in ("tp", "pp", "vpp", "cp", "ep", "dp", "micro_batch")}
    return Layouts(
        **degrees,
        sharding=one(SHARDINGS.index(Sharding(str(layout.sharding)))),
        recompute=one(RECOMPUTES.index(Recompute(str(layout.recompute)))),
        recompute_fraction=np.array([1.0 if layout.recompute_fraction is None else layout.recompute_fraction]),
    )


def _rates(job: Job, table: HardwareTable, layouts: Layouts, catalog: Catalog) -> Rates:
    rates = table_rates(job, table, catalog.calibration).take(np.zeros(1, dtype=np.int64))
    return run_rates(rates, layouts.gpus, table.gpus_server)


_Record = TypeVar("_Record", Shape, Recipe, LayerProducts, Curves, Rates, Layouts, Decoding)


def joined(records: Sequence[_Record]) -> _Record:
    """Many records of one kind as one whose numbers are arrays; what is no number is taken from the first."""
    first = records[0]
    values = {field.name: _column([getattr(record, field.name) for record in records]) for field in fields(first)}
    return type(first)(**values)


def columned(record: _Record) -> _Record:
    """The same runs as columns, so that many fits of all of them are one array."""
    return type(record)(**{field.name: _each_as_column(getattr(record, field.name)) for field in fields(record)})


def _each_as_column(value: Any) -> Any:
    if isinstance(value, LayerProducts):
        return columned(value)
    if isinstance(value, Curves):
        return columned(value)
    if isinstance(value, Decoding):
        return columned(value)
    # What decodes has points of its own in every row.
    return as_column(value) if isinstance(value, np.ndarray) and value.ndim == 1 else value


def as_column(values: Any) -> Any:
    """A number of each run as a column of them."""
    return np.asarray(values)[:, None]


def _decodings(values: Sequence[Decoding | None], *, like: Decoding) -> Decoding:
    """Rows of runs that decode, and rows that take no time for those that do not."""
    none = Decoding(together=np.ones(1), stages=np.ones(1), log_pass_s=np.full_like(like.log_pass_s, _NO_TIME))
    rows = [none if value is None else value for value in values]
    return Decoding(**{f.name: np.concatenate([getattr(row, f.name) for row in rows]) for f in fields(Decoding)})


def _column(values: list[Any]) -> Any:
    first = values[0]
    decoding = [value for value in values if isinstance(value, Decoding)]
    if decoding:
        return _decodings(values, like=decoding[0])
    if isinstance(first, LayerProducts | Curves):
        return joined(values)
    if isinstance(first, int | float | np.ndarray | np.bool_):
        return np.array([np.ravel(value)[0] for value in values])
    return first
