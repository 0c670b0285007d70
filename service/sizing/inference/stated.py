"""A deployment taken at its word: the stated degrees and copies, checked; the engine's choice where it is silent."""

from dataclasses import dataclass, replace

import numpy as np

from service.errors import FieldError, InvalidRequestError, UnsupportedWorkloadError
from service.sizing.hardware import GpuSpec
from service.sizing.inference.layout import InferenceLayouts, default_ep, legal_layouts, query_heads
from service.sizing.inference.load import ModelLoad
from service.sizing.inference.machine import multiply_flop_s
from service.sizing.result import PoolPlan
from service.sizing.table import HardwareTable, IntArray
from service.sizing.workload import Deployment

# One instance that prefills, and one that decodes.
_FEWEST_OF_POOLS = 2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Placement:
    """One model instance (a single row), its copies, its expert ranks, and the GPUs that nothing runs on.

    Disaggregated and stated as pools, it is the decode pool, and `prefill` are so many instances of the other layout.
    """

    layouts: InferenceLayouts
    replicas: int
    ep: int
    idle_gpus: int
    prefill: PoolPlan | None = None


def require_known(load: ModelLoad, table: HardwareTable, gpu: GpuSpec) -> None:
    """Raises UnsupportedWorkloadError when the GPU's bandwidth or arithmetic is unknown: no time can be told then."""
    peak = multiply_flop_s(load.weight_precision, table)
    missing = [
        name
        for name, value in (("memory bandwidth", table.bandwidth_bytes_s[0]), ("16-bit or narrower peak", peak[0]))
        if not np.isfinite(value)
    ]
    if missing:
        message = f"the {' and the '.join(missing)} of {gpu.id} is unknown, so nothing can be predicted on it"
        raise UnsupportedWorkloadError(message, errors=(FieldError(field="deployment.gpu", message=message),))


def has_stated_layout(deployment: Deployment) -> bool:
    """Whether the caller fixed any degree of the instance."""
    return any(d is not None for d in (deployment.tp, deployment.pp, deployment.attention_dp))


def stated_layout(load: ModelLoad, deployment: Deployment) -> InferenceLayouts:
    """The stated degrees as one row. Raises InvalidRequestError for degrees that the model or the GPUs cannot have."""
    tp, pp, attention_dp = deployment.tp or 1, deployment.pp or 1, deployment.attention_dp or 1
    heads, layers = query_heads(load), load.architecture.layers
    if heads % tp:
        raise _wrong("tp", f"must divide the {heads} attention heads of {load.architecture.id}", value=tp, limit=heads)
    if pp > layers:
        raise _wrong("pp", f"must not exceed the {layers} layers of {load.architecture.id}", value=pp, limit=layers)
    instance = tp * pp * attention_dp
    if instance > deployment.gpus:
        message = f"is less than one model instance takes: tp x pp x attention_dp = {instance}"
        raise _wrong("gpus", message, value=deployment.gpus, limit=instance)
    tensor, attention = np.array([tp]), np.array([attention_dp])
    return InferenceLayouts(
        server=np.zeros(1, dtype=np.int64),
        tp=tensor,
        pp=np.array([pp]),
        attention_dp=attention,
        ep=_stated_ep(load, deployment, otherwise=default_ep(load, tp=tensor, attention_dp=attention)),
    )


def _stated_ep(load: ModelLoad, deployment: Deployment, *, otherwise: IntArray) -> IntArray:
    """The stated expert parallelism, or what a stated cut of each expert leaves of it."""
    ranks = (deployment.tp or 1) * (deployment.attention_dp or 1) if load.is_moe else 1
    for field, value in (("ep", deployment.ep), ("moe_tp", deployment.moe_tp)):
        if value is not None and ranks % value:
            message = f"must divide the {ranks} GPUs that experts are split over"
            raise _wrong(field, message, value=value, limit=ranks)
    if deployment.ep is not None:
        return np.array([deployment.ep])
    return otherwise if deployment.moe_tp is None else np.array([ranks // deployment.moe_tp])


def open_layouts(load: ModelLoad, deployment: Deployment, table: HardwareTable) -> InferenceLayouts:
    """Every legal layout that the GPUs hold, as often as copies were asked for, with experts split as was stated.

    Raises InvalidRequestError where no layout can split them so.
    """
    legal = legal_layouts(load, table, np.zeros(1, dtype=np.int64))
    copies = copies_stated(deployment) or 1
    held = legal.take(np.flatnonzero(legal.gpus_instance * copies <= deployment.gpus))
    return held if deployment.ep is None and deployment.moe_tp is None else _split_experts(load, deployment, held)


def _split_experts(load: ModelLoad, deployment: Deployment, held: InferenceLayouts) -> InferenceLayouts:
    """Those layouts whose GPUs the stated expert parallelism, or cut of each expert, divides."""
    ranks = held.tp * held.attention_dp if load.is_moe else np.ones_like(held.tp)
    for field, value in (("ep", deployment.ep), ("moe_tp", deployment.moe_tp)):
        if value is None:
            continue
        able = np.flatnonzero(ranks % value == 0)
        if not able.size:
            most = int(ranks.max(initial=1))
            why = f"must divide the GPUs that experts are split over, {most} at most here"
            raise _wrong(field, why if load.is_moe else "must be 1: the model has no experts", value=value, limit=most)
        held, ranks = held.take(able), ranks[able]
    ep = np.full_like(ranks, deployment.ep) if deployment.ep is not None else ranks // (deployment.moe_tp or 1)
    return replace(held, ep=ep)


def copies_of(layouts: InferenceLayouts, deployment: Deployment) -> IntArray:
    """Copies of each layout that run: as many as were asked for, else as the GPUs hold."""
    stated = copies_stated(deployment)
    most = deployment.gpus // layouts.gpus_instance
    return most if stated is None else np.full_like(most, stated)


def placed(layouts: InferenceLayouts, deployment: Deployment) -> Placement:
    """Copies and expert ranks of the chosen row. Raises InvalidRequestError where they contradict the GPUs."""
    instance = int(layouts.gpus_instance[0])
    copies = copies_stated(deployment)
    most = deployment.gpus // instance
    if copies is not None and copies > most:
        field = "dp" if deployment.dp is not None else "replicas"
        message = f"copies of {instance} GPUs do not fit on {deployment.gpus}; at most {most} do"
        raise _wrong(field, message, value=copies, limit=most)
    replicas = max(1, most) if copies is None else copies
    return Placement(
        layouts=layouts,
        replicas=replicas,
        ep=int(layouts.ep[0]),
        idle_gpus=deployment.gpus - replicas * instance,
    )


def require_two(placement: Placement, deployment: Deployment) -> None:
    """Raises InvalidRequestError where one instance alone would have to be both pools."""
    if placement.replicas >= _FEWEST_OF_POOLS:
        return
    instance = int(placement.layouts.gpus_instance[0])
    if copies_stated(deployment) is not None:
        field = "dp" if deployment.dp is not None else "replicas"
        message = "is less than two pools take: an instance that prefills and one that decodes"
        raise _wrong(field, message, value=placement.replicas, limit=_FEWEST_OF_POOLS)
    message = f"is less than two pools take: {instance} that prefill and {instance} that decode"
    raise _wrong("gpus", message, value=deployment.gpus, limit=_FEWEST_OF_POOLS * instance)


def copies_stated(deployment: Deployment) -> int | None:
    """`dp` and `replicas` both say how many copies of the instance run."""
    dp, replicas = deployment.dp, deployment.replicas
    if dp is not None and replicas is not None and dp != replicas:
        raise _wrong("replicas", f"and dp both count copies, and dp is {dp}", value=replicas, limit=dp)
    return dp if dp is not None else replicas


def _wrong(field: str, message: str, *, value: int, limit: int) -> InvalidRequestError:
    error = FieldError(field=f"deployment.{field}", message=message, value=str(value), limit=str(limit))
    return InvalidRequestError(f"deployment.{field} {message}", errors=(error,))
