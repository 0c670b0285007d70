"""Latency against load: an option of serving, evaluated from a light load to more than it carries."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from service.errors import PlannerError
from service.planning.estimate import estimate
from service.runtime import Runtime
from service.sizing.interval import Interval
from service.sizing.precision import Precision
from service.sizing.result import PoolPlan, SizingOption
from service.sizing.workload import (
    Demand,
    Deployment,
    InferenceWorkload,
    Load,
    LoadKind,
    Pool,
    Question,
    Serving,
)

_SHARES = (0.05, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 1.0, 1.1)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPoint:
    """What all servers of an option do at a rate of requests."""

    requests_s: float
    metrics: Mapping[str, Interval]


def load_curve(runtime: Runtime, question: Question, option: SizingOption) -> tuple[LoadPoint, ...]:
    """The curve, as far as the option carries the load; empty for other kinds of work."""
    workload = question.workload
    known = {metric.name: metric.interval.p50 for metric in option.metrics}
    most_requests_s = max(known.get("capacity_requests_s", 0.0), 1.2 * known.get("requests_s", 0.0))
    if not isinstance(workload, InferenceWorkload) or not most_requests_s:
        return ()
    fixed = dataclasses.replace(
        workload,
        demand=Demand(),
        weight_precision=Precision(option.weight_precision or workload.weight_precision),
        kv_precision=Precision(option.kv_precision or workload.kv_precision),
    )
    found = []
    for share in _SHARES:
        requests_s = share * most_requests_s
        try:
            done = estimate(runtime, fixed, _deployment(option, requests_s))
        except PlannerError:
            # It carries no more: the curve ends here.
            break
        metrics = {metric.name: metric.interval for metric in done.metrics}
        found.append(LoadPoint(requests_s=requests_s, metrics=metrics))
    return tuple(found)


def _deployment(option: SizingOption, requests_s: float) -> Deployment:
    """The pools of the option, or one of its replicas with its share of the load."""
    layout, mode = option.layout, Serving(option.mode)
    pools = option.prefill is not None and option.decode is not None
    load = Load(kind=LoadKind.RATE, requests_s=requests_s if pools else requests_s / option.replicas)
    if option.prefill is not None and option.decode is not None:
        gpus = sum(pool.instances * pool.tp * pool.pp * pool.attention_dp for pool in (option.prefill, option.decode))
        return Deployment(
            gpu=option.gpu,
            gpus=gpus,
            server=option.server,
            mode=mode,
            load=load,
            prefill=_pool(option.prefill),
            decode=_pool(option.decode),
        )
    return Deployment(
        gpu=option.gpu,
        gpus=option.gpus_instance,
        server=option.server,
        tp=layout.tp,
        pp=layout.pp,
        ep=layout.ep,
        attention_dp=layout.attention_dp,
        replicas=1,
        mode=mode,
        load=load,
    )


def _pool(plan: PoolPlan) -> Pool:
    return Pool(instances=plan.instances, tp=plan.tp, ep=plan.ep, attention_dp=plan.attention_dp)
