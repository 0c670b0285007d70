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
from service.sizing.inference.layout import parallel_layout, pool_plan
from service.sizing.inference.load import ModelLoad
from service.sizing.inference.memory import sequence_bytes
from service.sizing.inference.predict import (
    FleetFlow,
    PointValues,
    at_most,
    held_interval,
    receipts_of,
    serving_metrics,
)
from service.sizing.inference.residuals import Spreads, spreads_of
from service.sizing.inference.settle import Notes, Setting, operating_point, settle
from service.sizing.inference.stated import Placement, has_stated_layout
from service.sizing.inference.traffic import longest_tokens, slo_seconds
from service.sizing.interval import Interval, combined, interval
from service.sizing.place import memory_parts
from service.sizing.precision import Precision
from service.sizing.rank import inward
from service.sizing.result import Assumed, Estimate, PoolPlan
from service.sizing.round_result import significant
from service.sizing.spoken import spoken
from service.sizing.storage import VERSIONS_KEPT, inference_storage
from service.sizing.units import GB, MS
from service.sizing.version import ENGINE_VERSION
from service.sizing.workload import Deployment, InferenceWorkload, Load, LoadKind, Serving


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
        setting.bench.load.label,
        calibration,
        gpu=deployment.gpu,
        disaggregated=setting.bench.disaggregated,
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
    decode, prefill, split = _pools(setting, notes.placement, values)
    return Estimate(
        kind="inference",
        gpu=deployment.gpu,
        gpus=deployment.gpus,
        layout=parallel_layout(layouts, 0, ep=notes.placement.ep),
        replicas=notes.placement.replicas,
        mode=str(Serving.DISAGGREGATED if setting.bench.disaggregated else Serving.AGGREGATED),
        prefill=prefill,
        decode=decode,
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
        bottleneck=_out_of_reach(values, spreads, workload, notes.asked)
        or serving_bottleneck(floor, values, held=held_sequences(memory, layouts, 0)),
        meets_slo=_meets_slo(values, workload),
        utilisation=serving_utilisation(floor, values),
        storage=inference_storage(
            weights_bytes=load.checkpoint_bytes,
            versions=VERSIONS_KEPT,
            servers=-(-deployment.gpus // int(table.gpus_server[0])),
            load_s=setting.calibration.assumption("inference.cold_start_load_s"),
        ),
        assumed=(*_assumed(notes, deployment, workload, load), *split),
        working=inference_working(bench, values, memory=memory, table=table, traffic=traffic, row=0),
        engine_version=ENGINE_VERSION,
    )


def _pools(
    setting: Setting, placement: Placement, values: PointValues
) -> tuple[PoolPlan | None, PoolPlan | None, tuple[Assumed, ...]]:
    """Decode and prefill instances, and what was assumed of their number; nothing where both share GPUs.

    Pools that were not stated are predicted in the ratio that matches their rates; whole instances come nearest to it.
    None where the GPUs hold one instance, which cannot be both.
    """
    layouts, copies = setting.bench.layouts, placement.replicas
    if not setting.bench.disaggregated or (placement.prefill is None and copies < 2):
        return None, None, ()
    if placement.prefill is not None:
        return pool_plan(layouts, 0, instances=copies), placement.prefill, ()
    matched = copies / (1.0 + values.prefill_instances)
    decode = min(copies - 1, max(1, round(matched)))
    told = Assumed(
        field="deployment.decode.instances",
        value=f"{decode} of {copies}",
        why=f"not given: the rates of {spoken(matched)} decode and {spoken(copies - matched)} prefill instances match",
    )
    decoding, prefilling = (pool_plan(layouts, 0, instances=n) for n in (decode, copies - decode))
    return decoding, prefilling, (told,)


def _meets_slo(values: PointValues, workload: InferenceWorkload) -> bool | None:
    """Whether the medians of both tails, as shown, keep the bounds; None without bounds."""
    ttft_s, tpot_s = slo_seconds(workload)
    return None if workload.slo is None else values.ttft_tail_s <= ttft_s and values.tpot_tail_s <= tpot_s


def _out_of_reach(values: PointValues, spreads: Spreads, workload: InferenceWorkload, asked: Load) -> str:
    """Which bound even the lowest rate misses, where the highest within the bounds is asked; else nothing."""
    if asked.kind is not LoadKind.HIGHEST_RATE_WITHIN_SLO or _meets_slo(values, workload) is not False:
        return ""
    ttft_s, tpot_s = slo_seconds(workload)
    found = (
        ("ttft_ms", values.ttft_tail_s, ttft_s, spreads.ttft),
        ("tpot_ms", values.tpot_tail_s, tpot_s, spreads.tpot),
    )
    # Told from what is shown: 568.55 in six digits and what it was rounded from end in other fourth ones.
    missed = [
        f"slo.{name} of {bound / MS:g}: {spoken(significant(interval(tail / MS, spread).p50))} ms"
        for name, tail, bound, spread in found
        if tail > bound
    ]
    return "no rate meets " + " and ".join(f"{each} even at the lowest rate" for each in missed)


def _flow(setting: Setting, notes: Notes, values: PointValues, carried: float, spreads: Spreads) -> FleetFlow:
    """What the deployment carries: what was asked for where a rate or a number of requests was, else the prediction.

    Raises InvalidRequestError for a rate above what the deployment carries: its queue would grow without bound.
    """
    asked = notes.asked
    fastest = values.requests_most_s * carried / values.requests_s
    if asked.kind is LoadKind.RATE:
        rate = asked.requests_s or 0.0
        full = setting.point(float(setting.limit[0]))
        pooled = 1.0 if setting.prefill_ratio is not None else 1.0 + full.prefill_instances
        capacity = full.requests_s * notes.placement.replicas / pooled
        if rate > capacity:
            most = inward(capacity)
            message = f"is more than the deployment carries, {spoken(most)} requests/s: its queue grows without bound"
            error = FieldError(
                field="deployment.load.requests_s", message=message, value=f"{rate:.15g}", limit=f"{most:.15g}"
            )
            raise InvalidRequestError(f"deployment.load.requests_s {message}", errors=(error,))
        can = at_most(fastest, interval(capacity, spreads.rate))
        arriving = at_most(rate, can)
        held = held_interval(arriving, values, setting.traffic, spreads)
        return FleetFlow(requests_s=arriving, in_flight=held, capacity_requests_s=can)
    within_slo = asked.kind is LoadKind.HIGHEST_RATE_WITHIN_SLO
    spread = combined(spreads.rate, spreads.tpot) if within_slo else spreads.rate
    flow = at_most(fastest, interval(carried, spread))
    if asked.kind is LoadKind.CONCURRENCY:
        held = Interval(p10=float(asked.value or 1), p50=float(asked.value or 1), p90=float(asked.value or 1))
    else:
        held = held_interval(flow, values, setting.traffic, spreads)
    return FleetFlow(requests_s=flow, in_flight=held, capacity_requests_s=None)


def _assumed(notes: Notes, deployment: Deployment, workload: InferenceWorkload, load: ModelLoad) -> tuple[Assumed, ...]:
    found = list(notes.pools)
    if notes.server:
        found.append(Assumed(field="deployment.server", value=notes.server, why="the catalog's system with this GPU"))
    if deployment.mode is Serving.AUTO:
        found.append(Assumed(field="deployment.mode", value=str(Serving.AGGREGATED), why="no mode was given"))
    if not has_stated_layout(deployment) and not notes.pools:
        found += _chosen_layout(notes.placement, deployment)
    if notes.placement.idle_gpus:
        found.append(
            Assumed(
                field="deployment.gpus",
                value=f"{notes.placement.idle_gpus} idle",
                why="the copies of the model do not fill the GPUs",
            )
        )
    if notes.formats.why:
        found.append(Assumed(field="workload.weight_precision", value=str(notes.formats.weight), why=notes.formats.why))
    if workload.kv_precision is Precision.AUTO:
        why = "as wide as the serving engine makes it for such weights"
        found.append(Assumed(field="workload.kv_precision", value=str(load.kv_precision), why=why))
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


def _chosen_layout(placement: Placement, deployment: Deployment) -> list[Assumed]:
    """Every degree of the layout that was left open, as it was chosen."""
    layouts = placement.layouts
    degrees = {"tp": layouts.tp, "pp": layouts.pp, "attention_dp": layouts.attention_dp}
    if deployment.ep is None and deployment.moe_tp is None:
        degrees["ep"] = layouts.ep
    why = "left open: highest throughput among the layouts that fit"
    return [Assumed(field=f"deployment.{name}", value=str(degree[0]), why=why) for name, degree in degrees.items()]
