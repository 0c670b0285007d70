"""estimate_inference: one fixed deployment of a model, evaluated by the same physics that `size` searches."""

from service.errors import FieldError, InvalidRequestError
from service.sizing.architecture import ModelArchitecture
from service.sizing.calibration import Calibration
from service.sizing.hardware import Hardware
from service.sizing.inference.explain import (
    held_sequences,
    inference_working,
    serving_bottleneck,
    serving_utilisation,
    step_floor,
)
from service.sizing.inference.layout import parallel_layout
from service.sizing.inference.memory import sequence_bytes
from service.sizing.inference.predict import (
    FleetFlow,
    PointValues,
    Spreads,
    at_most,
    receipts_of,
    serving_metrics,
    spreads_of,
)
from service.sizing.inference.settle import Notes, Setting, operating_point, settle
from service.sizing.inference.stated import (
    has_stated_layout,
)
from service.sizing.inference.traffic import longest_tokens
from service.sizing.interval import Interval, combined, interval
from service.sizing.place import memory_parts
from service.sizing.result import Assumed, Estimate
from service.sizing.units import GB
from service.sizing.version import ENGINE_VERSION
from service.sizing.workload import Deployment, InferenceWorkload, LoadKind, Serving


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
    settled = settle(workload, deployment, hardware=hardware, architecture=architecture, calibration=calibration)
    setting, notes = settled.setting, settled.notes
    values, carried = operating_point(setting, workload, notes.asked, notes.placement.replicas)
    spreads = spreads_of(
        setting.bench.load.label, calibration, gpu=deployment.gpu, disaggregated=setting.bench.disaggregated
    )
    return _estimate(setting, values, carried, spreads, deployment=deployment, notes=notes, workload=workload)


def _estimate(
    setting: Setting,
    values: PointValues,
    carried: float,
    spreads: Spreads,
    *,
    deployment: Deployment,
    notes: Notes,
    workload: InferenceWorkload,
) -> Estimate:
    bench, memory, table = setting.bench, setting.memory, setting.table
    load, layouts = bench.load, bench.layouts
    traffic = setting.traffic
    kv_cache = float(memory.sequence[0]) * values.batch / float(layouts.attention_dp[0])
    longest = sequence_bytes(load, layouts, context_tokens=longest_tokens(workload))
    floor = step_floor(bench, values, table=table, context=traffic.decode_context_tokens, row=0)
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
        mode=str(Serving.DISAGGREGATED if setting.bench.disaggregated else Serving.AGGREGATED),
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
            reserve=float(memory.reserve[0]),
        ),
        memory_used_gb_gpu=(float(memory.fixed[0]) + kv_cache) / GB,
        memory_usable_gb_gpu=float(memory.usable[0]) / GB,
        bottleneck=serving_bottleneck(floor, values, held=held_sequences(memory, layouts, 0)),
        utilisation=serving_utilisation(floor, values),
        assumed=_assumed(notes, deployment),
        working=inference_working(bench, values, memory=memory, table=table, traffic=traffic, spreads=spreads, row=0),
        engine_version=ENGINE_VERSION,
    )


def _flow(setting: Setting, notes: Notes, values: PointValues, carried: float, spreads: Spreads) -> FleetFlow:
    """What the deployment carries: what was asked for where a rate or a number of requests was, else the prediction.

    Raises InvalidRequestError for a rate above what the deployment carries: its queue would grow without bound.
    """
    asked = notes.asked
    held = interval(carried * values.in_flight / values.requests_s, spreads.tpot)
    if asked.kind is LoadKind.RATE:
        rate = asked.requests_s or 0.0
        full = setting.point(float(setting.limit[0]))
        pooled = 1.0 if setting.prefill_ratio is not None else 1.0 + full.prefill_instances
        capacity = full.requests_s * notes.placement.replicas / pooled
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
    within_slo = asked.kind is LoadKind.HIGHEST_RATE_WITHIN_SLO
    spread = combined(spreads.rate, spreads.tpot) if within_slo else spreads.rate
    return FleetFlow(requests_s=interval(carried, spread), in_flight=held, capacity_requests_s=None)


def _assumed(notes: Notes, deployment: Deployment) -> tuple[Assumed, ...]:
    found = list(notes.pools)
    if notes.server:
        found.append(Assumed(field="deployment.server", value=notes.server, why="the catalog's system with this GPU"))
    if not has_stated_layout(deployment) and not notes.pools:
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
