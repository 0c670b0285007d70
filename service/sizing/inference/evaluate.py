"""estimate_inference: one fixed deployment of a model, evaluated by the same physics that `size` searches."""

from dataclasses import dataclass, replace

import numpy as np

from service.errors import FieldError, InvalidRequestError
from service.sizing.architecture import ModelArchitecture
from service.sizing.calibration import Calibration
from service.sizing.hardware import Hardware
from service.sizing.inference.explain import inference_working, serving_bottleneck, serving_utilisation
from service.sizing.inference.formats import choose_formats
from service.sizing.inference.layout import InferenceLayouts, legal_layouts
from service.sizing.inference.load import ModelLoad, model_load
from service.sizing.inference.memory import InferenceMemory, inference_memory
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
from service.sizing.inference.traffic import held_tokens, slo_seconds, traffic_of
from service.sizing.interval import Interval, interval
from service.sizing.place import memory_parts, placed_server
from service.sizing.result import Assumed, Estimate, ParallelLayout
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

    Raises InvalidRequestError when the layout does not divide the GPUs.
    """
    server, gpu, placed = placed_server(deployment, hardware)
    table = build_table((server,), (gpu,))
    formats = choose_formats(workload, architecture, gpu)
    load = model_load(architecture, weight=formats.weight, kv=formats.kv)
    layouts, chosen = _layout(load, deployment, table, workload=workload, calibration=calibration)
    memory = inference_memory(load, layouts, table=table, context_tokens=held_tokens(workload), calibration=calibration)
    asked = deployment.load or Load()
    setting = _Setting(
        load=load,
        layouts=layouts,
        memory=memory,
        traffic=replace(traffic_of(workload), closed_loop=asked.kind is LoadKind.CONCURRENCY),
        table=table,
        calibration=calibration,
        disaggregated=deployment.mode is Serving.DISAGGREGATED,
    )
    replicas = _replicas(setting, deployment)
    values, carried = _operating_point(setting, workload, asked, replicas)
    spreads = spreads_of(load, calibration, gpu=gpu.id, disaggregated=setting.disaggregated)
    receipts = receipts_of(
        load,
        calibration,
        gpu=gpu.id,
        gpus=int(layouts.gpus_instance[0]),
        in_flight=values.in_flight,
        traffic=setting.traffic,
    )
    used = float(memory.fixed[0] + memory.sequence[0] * values.batch / float(layouts.attention_dp[0]))
    return Estimate(
        kind="inference",
        gpu=gpu.id,
        gpus=deployment.gpus,
        layout=_parallel(layouts),
        replicas=replicas,
        mode=str(Serving.DISAGGREGATED if setting.disaggregated else Serving.AGGREGATED),
        weight_precision=str(formats.weight),
        kv_precision=str(formats.kv),
        precision=None,
        batch=values.batch,
        fits=bool(memory.fixed[0] + memory.sequence[0] <= memory.usable[0]),
        metrics=serving_metrics(
            values,
            spreads,
            setting.traffic,
            receipts=receipts,
            flow=_flow(asked, values, carried, spreads),
            gpus=deployment.gpus,
        ),
        memory_gb_gpu=memory_parts(
            weights=float(memory.weights[0]),
            kv_cache=float(memory.sequence[0]) * values.batch / float(layouts.attention_dp[0]),
            activations=float(memory.activations[0]),
            reserve=memory.reserve,
        ),
        memory_used_gb_gpu=used / GB,
        memory_usable_gb_gpu=float(memory.usable[0]) / GB,
        bottleneck=serving_bottleneck(load, layouts, values, table=table, memory=memory, row=0),
        utilisation=serving_utilisation(load, layouts, values, table=table, traffic=setting.traffic, row=0),
        assumed=_assumed(placed, formats.why, chosen=chosen, asked=asked, deployment=deployment),
        working=inference_working(
            load, layouts, values, memory=memory, table=table, traffic=setting.traffic, calibration=calibration, row=0
        ),
        engine_version=ENGINE_VERSION,
    )


def _parallel(layouts: InferenceLayouts, row: int = 0) -> ParallelLayout:
    tp, pp, adp = (int(a[row]) for a in (layouts.tp, layouts.pp, layouts.attention_dp))
    return ParallelLayout(tp=tp, pp=pp, attention_dp=adp, ep=tp * adp)


def _layout(
    load: ModelLoad,
    deployment: Deployment,
    table: HardwareTable,
    *,
    workload: InferenceWorkload,
    calibration: Calibration,
) -> tuple[InferenceLayouts, bool]:
    """The asked layout, or the one of the highest throughput per GPU that fits; True when the engine chose."""
    if deployment.tp is not None or deployment.pp is not None or deployment.attention_dp is not None:
        asked = InferenceLayouts(
            server=np.zeros(1, dtype=np.int64),
            tp=np.array([deployment.tp or 1]),
            pp=np.array([deployment.pp or 1]),
            attention_dp=np.array([deployment.attention_dp or 1]),
        )
        if int(asked.gpus_instance[0]) > deployment.gpus:
            raise InvalidRequestError(
                f"tp x pp x attention_dp = {int(asked.gpus_instance[0])} GPUs, deployment.gpus is {deployment.gpus}",
                errors=(
                    FieldError(
                        field="deployment.gpus",
                        message="is less than one model instance takes; lower tp, pp or attention_dp",
                        value=str(deployment.gpus),
                        limit=str(int(asked.gpus_instance[0])),
                    ),
                ),
            )
        return asked, False
    legal = legal_layouts(load, table, np.zeros(1, dtype=np.int64))
    legal = legal.take(np.flatnonzero(deployment.gpus % legal.gpus_instance == 0))
    memory = inference_memory(load, legal, table=table, context_tokens=held_tokens(workload), calibration=calibration)
    limit = batch_limit(memory, legal, calibration)
    point = operate(
        load,
        legal,
        batch=limit,
        traffic=traffic_of(workload),
        table=table,
        calibration=calibration,
        disaggregated=False,
    )
    fits = memory.fixed + memory.sequence <= memory.usable
    per_gpu = np.where(fits, 1.0, 1e-9) * point.requests_s[:, 0] / legal.gpus_instance
    return legal.take(np.array([int(np.argmax(per_gpu))])), True


def _replicas(setting: _Setting, deployment: Deployment) -> int:
    """Copies of the instance that the GPUs hold; a disaggregated fleet spends some of them on prefill."""
    return max(1, deployment.gpus // int(setting.layouts.gpus_instance[0]))


def _operating_point(
    setting: _Setting, workload: InferenceWorkload, asked: Load, replicas: int
) -> tuple[PointValues, float]:
    """The steady state that the load leads to, and the requests/s that the fleet then carries."""
    limit = batch_limit(setting.memory, setting.layouts, setting.calibration)
    if asked.kind is LoadKind.SATURATED:
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
            )[0]
        )
    values = setting.point(batch)
    decoding = replicas / (1.0 + values.prefill_instances)
    if asked.kind is LoadKind.CONCURRENCY:
        values = _with_waiting(values, float(asked.value or 1) / decoding)
    return values, values.requests_s * decoding


def _flow(asked: Load, values: PointValues, carried: float, spreads: Spreads) -> FleetFlow:
    """What the deployment carries: what was asked for where a rate or a number of requests was, else the prediction."""
    can = interval(carried, spreads.rate)
    held = interval(carried * values.in_flight / values.requests_s, spreads.tpot)
    if asked.kind is LoadKind.RATE:
        can = at_most(asked.requests_s or 0.0, can)
    if asked.kind is LoadKind.CONCURRENCY:
        held = Interval(p10=float(asked.value or 1), p50=float(asked.value or 1), p90=float(asked.value or 1))
    return FleetFlow(requests_s=can, in_flight=held, goodput_requests_s=None)


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


def _assumed(placed: str, why: str, *, chosen: bool, asked: Load, deployment: Deployment) -> tuple[Assumed, ...]:
    found = []
    if placed:
        found.append(Assumed(field="deployment.server", value=placed, why="the catalog's system with this GPU"))
    if chosen:
        found.append(
            Assumed(field="deployment.tp", value="chosen", why="highest throughput per GPU among the layouts that fit")
        )
    if why:
        found.append(Assumed(field="workload.weight_precision", value="auto", why=why))
    if deployment.load is None:
        found.append(Assumed(field="deployment.load", value=str(asked.kind), why="no load was given"))
    return tuple(found)
