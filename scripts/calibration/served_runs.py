"""Measured serving runs -> the passes that the engine composes for each, at every batch, as arrays over all runs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scripts.calibration.refusals import Refuse, unheard
from service.catalog.catalog import Catalog
from service.errors import PlannerError
from service.planning.rerun.inference import evaluate_inference
from service.schemas.measured import MeasuredInference
from service.sizing.inference.least import PassLeast
from service.sizing.inference.operate import batch_grid
from service.sizing.inference.overheads import newness_of, replayed_of
from service.sizing.inference.serving import passes_of, pooled_passes_of
from service.sizing.inference.settle import Setting, settle
from service.sizing.inference.software import software_of
from service.sizing.inference.steady import Passes, Stream
from service.sizing.inference.step import StepParts
from service.sizing.table import FloatArray
from service.sizing.workload import Arrival, InferenceWorkload, LoadKind

GRID = 24
_SMALLEST_BATCH = 0.05
PARTS = ("products", "inputs", "generation", "context", "experts", "streams", "collectives", "launches")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What a run is, for folds, weights and regimes."""

    id: str
    source: str
    model: str
    gpu: str
    precision: str
    engine: str
    mode: str
    label: str

    @property
    def group(self) -> tuple[str, ...]:
        """Runs that are alike but for load and lengths."""
        return self.source, self.model, self.gpu, self.precision, self.mode


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ServedRun:
    """One run at every batch of its grid: arrays of one row."""

    place: Place
    age_years: float
    newness: float
    prompts_first: bool
    replayed: float
    layers: float
    load: LoadKind
    burst: bool
    uncounted: bool
    clients: float
    copies: float
    gpus: float
    passes: Passes
    stream: Stream
    prefill: StepParts | None
    chunk_tokens: FloatArray
    servers: float
    ratio: float
    transfer_s: float
    tpot_s: float
    ttft_s: float
    output_tokens_s: float
    slo_s: tuple[float, float] | None


def served_run(catalog: Catalog, run: MeasuredInference, source: str, refuse: Refuse = unheard) -> ServedRun | None:
    """The run as the engine composes it; None for one that it refuses, of which `refuse` is told."""
    try:
        rerun = evaluate_inference(catalog, run).rerun
    except PlannerError as error:
        refuse(run.id, error)
        return None
    workload, deployment = rerun.workload, rerun.deployment
    assert isinstance(workload, InferenceWorkload)
    assert rerun.architecture is not None
    settled = settle(
        workload,
        deployment,
        hardware=catalog.hardware,
        architecture=rerun.architecture,
        calibration=catalog.calibration,
    )
    setting, asked = settled.setting, settled.notes.asked
    bench, traffic = setting.bench, setting.traffic
    grid = batch_grid(setting.limit, points=GRID, smallest=_SMALLEST_BATCH)
    pooled = None if bench.prefill is None else pooled_passes_of(bench, bench.prefill, grid, traffic)
    engine, month = deployment.engine or workload.engine, deployment.software_month
    software = software_of(engine, month, catalog.calibration, compiled=deployment.compiled)
    bounds = None if workload.slo is None else (workload.slo.ttft_ms or np.inf, workload.slo.tpot_ms or np.inf)
    return ServedRun(
        place=Place(
            id=run.id or "",
            source=source,
            model=str(workload.model),
            gpu=deployment.gpu,
            precision=str(bench.load.weight_precision),
            engine=str(software.engine),
            mode=bench.mode,
            label=bench.load.label,
        ),
        age_years=software.age_years,
        newness=newness_of(bench.load, software, catalog.calibration),
        prompts_first=software.prompts_first,
        replayed=replayed_of(bench.load, software),
        layers=float(bench.load.architecture.layers),
        load=asked.kind,
        burst=asked.arrival is Arrival.BURST,
        uncounted=pooled is not None and run.deployment.gpus is None,
        clients=float(asked.value or 0),
        copies=float(settled.notes.placement.replicas),
        gpus=float(deployment.gpus),
        passes=passes_of(bench, grid, traffic) if pooled is None else pooled.decode,
        stream=traffic.stream,
        prefill=None if pooled is None else pooled.prefill,
        chunk_tokens=np.ones((1, 1)) if pooled is None else pooled.chunk_tokens,
        servers=1.0 if pooled is None else float(np.max(pooled.servers)),
        ratio=_ratio(setting),
        transfer_s=0.0 if pooled is None else float(np.max(pooled.transfer_s)),
        tpot_s=_measured(run, "tpot_ms") / 1000.0,
        ttft_s=_measured(run, "ttft_ms") / 1000.0,
        output_tokens_s=_output(run, workload, gpus=float(deployment.gpus)),
        slo_s=None if bounds is None else (bounds[0] / 1000.0, bounds[1] / 1000.0),
    )


def _ratio(setting: Setting) -> float:
    """Prefill to decode instances; not a number where prefill follows the load."""
    return float("nan") if setting.prefill_ratio is None else setting.prefill_ratio


def _measured(run: MeasuredInference, name: str) -> float:
    value = run.measured.get(name)
    return float(value) if isinstance(value, int | float) and value > 0 else float("nan")


def _output(run: MeasuredInference, workload: InferenceWorkload, *, gpus: float) -> float:
    """Output tokens/s of the whole deployment, from whichever way it was published."""
    isl, osl = workload.isl_tokens.mean, workload.osl_tokens.mean
    ways = {
        "output_tokens_s": 1.0,
        "output_tokens_s_gpu": gpus,
        "total_tokens_s": osl / (isl + osl),
        "total_tokens_s_gpu": gpus * osl / (isl + osl),
    }
    for name, factor in ways.items():
        if not np.isnan(value := _measured(run, name)):
            return value * factor
    return float("nan")


def stacked(parts: Sequence[StepParts], *, points: int) -> StepParts:
    """The parts of many runs, a row per run."""

    def stack(each: Sequence[FloatArray]) -> FloatArray:
        return np.stack([np.broadcast_to(one, (1, points))[0] for one in each])

    return StepParts(
        **{name: stack([getattr(one, name) for one in parts]) for name in PARTS},
        least=PassLeast(
            multiplied=stack([one.least.multiplied for one in parts]),
            attended=stack([one.least.attended for one in parts]),
        ),
        kernels=np.array([[float(np.max(one.kernels))] for one in parts]),
        exchanges=np.array([[float(np.max(one.exchanges))] for one in parts]),
        host_factor=np.array([[float(np.max(one.host_factor))] for one in parts]),
    )
