"""estimate_inference: one fixed deployment of a model, evaluated by the same physics that `size` searches."""

from dataclasses import dataclass, replace

import numpy as np

from service.errors import FieldError, InvalidRequestError
from service.sizing.architecture import ModelArchitecture
from service.sizing.calibration import Calibration
from service.sizing.hardware import Hardware
from service.sizing.inference.explain import inference_working, serving_bottleneck, serving_utilisation
from service.sizing.inference.formats import Formats, choose_formats, has_format
from service.sizing.inference.layout import InferenceLayouts, parallel_layout
from service.sizing.inference.load import ModelLoad, model_load
from service.sizing.inference.memory import InferenceMemory, inference_memory, sequence_bytes
from service.sizing.inference.operate import batch_grid, batch_limit, operate, solve_batch
from service.sizing.inference.predict import (
    FleetFlow,
    PointValues,
    Spreads,
    at_most,
    point_values,
    receipts_of,
    serving_metrics,
    spreads_of,
)
from service.sizing.inference.serving import Traffic, serve, within
from service.sizing.inference.stated import (
    Placement,
    has_stated_layout,
    open_layouts,
    placed,
    require_known,
    stated_layout,
)
from service.sizing.inference.traffic import held_tokens, longest_tokens, slo_seconds, traffic_of
from service.sizing.interval import Interval, interval
from service.sizing.place import memory_parts, placed_server
from service.sizing.result import Assumed, Estimate
from service.sizing.table import HardwareTable, build_table
from service.sizing.units import GB
from service.sizing.version import ENGINE_VERSION
from service.sizing.workload import Deployment, InferenceWorkload, Load, LoadKind, Serving


@dataclass(frozen=True, slots=True, kw_only=True)
class _Setting:
    """Everything that stays the same while the load of one deployment is solved."""

    load: ModelLoad
    layouts: InferenceLayouts
    memory: InferenceMemory
    traffic: Traffic
    table: HardwareTable
    calibration: Calibration
    disaggregated: bool

    def point(self, batch: float) -> PointValues:
        """The steady state of the single candidate at this decode batch."""
        found = operate(
            self.load,
            self.layouts,
            batch=np.array([batch]),
            traffic=self.traffic,
            table=self.table,
            calibration=self.calibration,
            disaggregated=self.disaggregated,
        )
        return point_values(found, 0)


def estimate_inference(
    workload: InferenceWorkload,
    deployment: Deployment,
    *,
    hardware: Hardware,
    architecture: ModelArchitecture,
    calibration: Calibration,
) -> Estimate:
    """Metrics with intervals, memory by part and the bottleneck of a fixed deployment.

    Raises InvalidRequestError for a layout, copies or a rate that the deployment cannot have, UnsupportedWorkloadError
    for a GPU of which too little is known.
    """
    server, gpu, chosen_server = placed_server(deployment, hardware)
    table = build_table((server,), (gpu,))
    formats = choose_formats(workload, architecture, gpu)
    load = model_load(architecture, weight=formats.weight, kv=formats.kv)
    require_known(load, table, gpu)
    placement = _placement(load, deployment, table, workload=workload, calibration=calibration)
    asked = deployment.load or Load()
    setting = _Setting(
        load=load,
        layouts=placement.layouts,
        memory=inference_memory(
            load,
            placement.layouts,
            table=table,
            context_tokens=held_tokens(workload),
            calibration=calibration,
        ),
        traffic=replace(traffic_of(workload), closed_loop=asked.kind is LoadKind.CONCURRENCY),
        table=table,
        calibration=calibration,
        disaggregated=deployment.mode is Serving.DISAGGREGATED,
    )
    values, carried = _operating_point(setting, workload, asked, placement.replicas)
    spreads = spreads_of(load, calibration, gpu=gpu.id, disaggregated=setting.disaggregated)
    notes = _Notes(
        server=chosen_server,
        formats=formats,
        native=has_format(gpu, formats.weight),
        asked=asked,
        placement=placement,
    )
    return _estimate(setting, values, carried, spreads, deployment=deployment, notes=notes, workload=workload)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Notes:
    """What the engine chose for the caller."""

    server: str
    formats: Formats
    native: bool
    asked: Load
    placement: Placement


def _estimate(
    setting: _Setting,
    values: PointValues,
    carried: float,
    spreads: Spreads,
    *,
    deployment: Deployment,
    notes: _Notes,
    workload: InferenceWorkload,
) -> Estimate:
    load, layouts, memory, table = setting.load, setting.layouts, setting.memory, setting.table
    traffic = setting.traffic
    kv_cache = float(memory.sequence[0]) * values.batch / float(layouts.attention_dp[0])
    longest = sequence_bytes(load, layouts, context_tokens=longest_tokens(workload))
    receipts = receipts_of(
        load,
        setting.calibration,
        gpu=deployment.gpu,
        gpus=int(layouts.gpus_instance[0]),
        in_flight=values.in_flight,
        traffic=setting.traffic,
    )
    return Estimate(
        kind="inference",
        gpu=deployment.gpu,
        gpus=deployment.gpus,
        layout=parallel_layout(layouts, 0, ep=notes.placement.ep),
        replicas=notes.placement.replicas,
        mode=str(Serving.DISAGGREGATED if setting.disaggregated else Serving.AGGREGATED),
        weight_precision=str(load.weight_precision),
        kv_precision=str(load.kv_precision),
        precision=None,
        batch=values.batch,
        fits=bool(memory.fixed[0] + longest[0] <= memory.usable[0]),
        metrics=serving_metrics(
            values,
            spreads,
            setting.traffic,
            receipts=receipts,
            flow=_flow(setting, notes, values, carried, spreads),
            gpus=deployment.gpus - notes.placement.idle_gpus,
        ),
        memory_gb_gpu=memory_parts(
            weights=float(memory.weights[0]),
            kv_cache=kv_cache,
            activations=float(memory.activations[0]),
            reserve=memory.reserve,
        ),
        memory_used_gb_gpu=(float(memory.fixed[0]) + kv_cache) / GB,
        memory_usable_gb_gpu=float(memory.usable[0]) / GB,
        bottleneck=serving_bottleneck(load, layouts, values, table=table, memory=memory, traffic=traffic, row=0),
        utilisation=serving_utilisation(load, layouts, values, table=table, traffic=traffic, row=0),
        assumed=_assumed(notes, deployment),
        working=inference_working(
            load, layouts, values, memory=memory, table=table, traffic=traffic, calibration=setting.calibration, row=0
        ),
        engine_version=ENGINE_VERSION,
    )


def _placement(
    load: ModelLoad,
    deployment: Deployment,
    table: HardwareTable,
    *,
    workload: InferenceWorkload,
    calibration: Calibration,
) -> Placement:
    """The stated layout, or of those that fit the one with the highest throughput over all copies."""
    if has_stated_layout(deployment):
        return placed(load, stated_layout(load, deployment), deployment)
    legal = open_layouts(load, deployment, table)
    if not legal.tp.size:
        raise InvalidRequestError(
            f"no layout of {load.architecture.id} takes {deployment.gpus} GPUs in so many copies",
            errors=(FieldError(field="deployment.gpus", message="is too few for the copies asked for"),),
        )
    memory = inference_memory(load, legal, table=table, context_tokens=held_tokens(workload), calibration=calibration)
    point = operate(
        load,
        legal,
        batch=batch_limit(memory, legal, calibration),
        traffic=traffic_of(workload),
        table=table,
        calibration=calibration,
        disaggregated=False,
    )
    # Where nothing fits the layout that comes nearest to fitting is shown.
    fits = memory.fixed + memory.sequence <= memory.usable
    total = point.requests_s[:, 0] * (deployment.gpus // legal.gpus_instance)
    best = int(np.argmax(np.where(fits, total, 0.0))) if fits.any() else int(np.argmin(memory.fixed))
    return placed(load, legal.take(np.array([best])), deployment)


def _operating_point(
    setting: _Setting, workload: InferenceWorkload, asked: Load, replicas: int
) -> tuple[PointValues, float]:
    """The steady state that the load leads to, and the requests/s that the fleet then carries."""
    limit = batch_limit(setting.memory, setting.layouts, setting.calibration)
    if asked.kind in {LoadKind.SATURATED, LoadKind.BEST_PUBLISHED}:
        batch = float(limit[0])
    elif asked.kind is LoadKind.HIGHEST_RATE_WITHIN_SLO:
        batch = _largest_within(setting, workload, limit)
    else:
        by_rate = asked.kind is LoadKind.RATE
        wanted = (asked.requests_s or 0.0) if by_rate else float(asked.value or 1)
        batch = float(
            solve_batch(
                setting.load,
                setting.layouts,
                wanted=np.array([wanted / replicas]),
                by_rate=by_rate,
                limit=limit,
                traffic=setting.traffic,
                table=setting.table,
                calibration=setting.calibration,
                disaggregated=setting.disaggregated,
                pooled=True,
            )[0]
        )
    values = setting.point(batch)
    decoding = replicas / (1.0 + values.prefill_instances)
    if asked.kind is LoadKind.CONCURRENCY:
        values = _with_waiting(values, float(asked.value or 1) / decoding)
    return values, values.requests_s * decoding


def _flow(setting: _Setting, notes: _Notes, values: PointValues, carried: float, spreads: Spreads) -> FleetFlow:
    """What the deployment carries: what was asked for where a rate or a number of requests was, else the prediction.

    Raises InvalidRequestError for a rate above what the deployment carries: its queue would grow without bound.
    """
    asked = notes.asked
    held = interval(carried * values.in_flight / values.requests_s, spreads.tpot)
    if asked.kind is LoadKind.RATE:
        rate = asked.requests_s or 0.0
        full = setting.point(float(batch_limit(setting.memory, setting.layouts, setting.calibration)[0]))
        capacity = full.requests_s * notes.placement.replicas / (1.0 + full.prefill_instances)
        if rate > capacity:
            message = f"is more than the deployment carries, {capacity:.4g} requests/s: its queue grows without bound"
            error = FieldError(
                field="deployment.load.requests_s", message=message, value=f"{rate:g}", limit=f"{capacity:.4g}"
            )
            raise InvalidRequestError(f"deployment.load.requests_s {message}", errors=(error,))
        can = interval(capacity, spreads.rate)
        return FleetFlow(requests_s=at_most(rate, can), in_flight=held, capacity_requests_s=can)
    if asked.kind is LoadKind.CONCURRENCY:
        in_flight = float(asked.value or 1)
        held = Interval(p10=in_flight, p50=in_flight, p90=in_flight)
    return FleetFlow(requests_s=interval(carried, spreads.rate), in_flight=held, capacity_requests_s=None)


def _with_waiting(values: PointValues, in_flight: float) -> PointValues:
    """Requests beyond what the instance holds wait: Little's law turns their number into time to first token."""
    waiting = max(0.0, in_flight - values.in_flight)
    extra = waiting / values.requests_s
    if extra <= 0.0:
        return values
    fields = {name: getattr(values, name) for name in PointValues.__dataclass_fields__}
    fields |= {"ttft_s": values.ttft_s + extra, "ttft_tail_s": values.ttft_tail_s + extra, "in_flight": in_flight}
    return PointValues(**fields)


def _largest_within(setting: _Setting, workload: InferenceWorkload, limit: np.ndarray) -> float:
    """The largest batch whose tails meet the SLO; the smallest batch when none does."""
    ttft_s, tpot_s = slo_seconds(workload.slo)
    grid = batch_grid(limit, points=160, smallest=0.05)
    point = serve(
        setting.load,
        setting.layouts,
        batch=grid,
        traffic=setting.traffic,
        table=setting.table,
        calibration=setting.calibration,
        disaggregated=setting.disaggregated,
    )
    ok = np.flatnonzero(within(point, ttft_s=ttft_s, tpot_s=tpot_s)[0])
    return float(grid[0, int(ok[-1])] if ok.size else grid[0, 0])


def _assumed(notes: _Notes, deployment: Deployment) -> tuple[Assumed, ...]:
    found = []
    if notes.server:
        found.append(Assumed(field="deployment.server", value=notes.server, why="the catalog's system with this GPU"))
    if not has_stated_layout(deployment):
        found.append(
            Assumed(field="deployment.tp", value="chosen", why="highest throughput among the layouts that fit")
        )
    if notes.placement.idle_gpus:
        found.append(
            Assumed(
                field="deployment.gpus",
                value=f"{notes.placement.idle_gpus} idle",
                why="the copies of the model do not fill the GPUs",
            )
        )
    if notes.formats.why:
        found.append(Assumed(field="workload.weight_precision", value="auto", why=notes.formats.why))
    if not notes.native:
        found.append(
            Assumed(
                field="workload.weight_precision",
                value=str(notes.formats.weight),
                why=f"{deployment.gpu} does not multiply it: weights are unpacked to 16 bit",
            )
        )
    if deployment.load is None:
        found.append(Assumed(field="deployment.load", value=str(notes.asked.kind), why="no load was given"))
    return tuple(found)
