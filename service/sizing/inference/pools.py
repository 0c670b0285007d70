"""Pools: a disaggregated deployment whose prefill and decode instances are stated, and how many there are of each."""

from dataclasses import dataclass

import numpy as np

from service.errors import FieldError, InvalidRequestError
from service.sizing.inference.layout import InferenceLayouts, default_ep, legal_layouts, query_heads
from service.sizing.inference.load import ModelLoad
from service.sizing.inference.memory import weight_bytes
from service.sizing.inference.stated import copies_stated, has_stated_layout
from service.sizing.result import Assumed
from service.sizing.table import HardwareTable
from service.sizing.workload import Deployment, Pool

# What an instance may fill with weights before there is too little left for the cache.
MOST_WEIGHTS_FRACTION = 0.8
# Of more ways to split GPUs so many are tried, evenly spread.
_MOST_SPLITS = 64


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pools:
    """The layouts that a decode instance may have, that of a prefill instance, and every number of instances (row of
    `decode`, decode, prefill) that the deployment may mean.

    `stated` are the numbers that it says.
    """

    decode: InferenceLayouts
    prefill: InferenceLayouts
    splits: tuple[tuple[int, int, int], ...]
    stated: tuple[int | None, int | None]
    assumed: tuple[Assumed, ...]


def pools_of(load: ModelLoad, deployment: Deployment, table: HardwareTable) -> Pools | None:
    """The pools that a deployment states, or those that it leaves open; None where one layout is stated for both.

    Raises InvalidRequestError for pools that need more GPUs than there are.
    """
    if deployment.prefill is not None or deployment.decode is not None:
        return _stated_pools(load, deployment, table)
    return None if has_stated_layout(deployment) else _open_pools(load, deployment, table)


def _open_pools(load: ModelLoad, deployment: Deployment, table: HardwareTable) -> Pools | None:
    """Every layout to decode in beside the smallest instances that prefill; None where two pools do not fit.

    Prompts fill a GPU whatever their number, so that they are computed cheapest on the fewest that hold the model; how
    many GPUs share a step of decoding is a matter of the load.
    """
    if deployment.ep is not None or deployment.moe_tp is not None or copies_stated(deployment) is not None:
        return None
    prefill = _smallest(load, deployment, table)
    legal = legal_layouts(load, table, np.zeros(1, dtype=np.int64))
    held = weight_bytes(load, legal) <= MOST_WEIGHTS_FRACTION * table.memory_bytes[0]
    decode = legal.take(np.flatnonzero((legal.pp == 1) & held))
    each = int(prefill.gpus_instance[0])
    splits = tuple(
        (row, *counts)
        for row, size in enumerate(decode.gpus_instance.tolist())
        for counts in _splits((None, None), sizes=(size, each), gpus=deployment.gpus)
    )
    return Pools(decode=decode, prefill=prefill, splits=splits, stated=(None, None), assumed=()) if splits else None


def _stated_pools(load: ModelLoad, deployment: Deployment, table: HardwareTable) -> Pools:
    smallest = _smallest(load, deployment, table)
    decode, said = _layout(load, deployment.decode or Pool(), "decode", smallest=smallest)
    prefill, also = _layout(load, deployment.prefill or Pool(), "prefill", smallest=smallest)
    assumed = [*said, *also]
    sizes = int(decode.gpus_instance[0]), int(prefill.gpus_instance[0])
    stated = _instances(deployment.decode, "decode", sizes[0]), _instances(deployment.prefill, "prefill", sizes[1])
    splits = _splits(stated, sizes=sizes, gpus=deployment.gpus)
    if not splits:
        counts = stated[0] or 1, stated[1] or 1
        needed = counts[0] * sizes[0] + counts[1] * sizes[1]
        message = (
            f"is less than the pools take: {counts[0]} to decode with {sizes[0]} GPUs each and {counts[1]} to prefill "
            f"with {sizes[1]} each are {needed}"
        )
        error = FieldError(field="deployment.gpus", message=message, value=str(deployment.gpus), limit=str(needed))
        raise InvalidRequestError(f"deployment.gpus {message}", errors=(error,))
    counted = tuple((0, *counts) for counts in splits)
    return Pools(decode=decode, prefill=prefill, splits=counted, stated=stated, assumed=tuple(assumed))


def split_assumed(stated: tuple[int | None, int | None], *, decode: int, prefill: int) -> tuple[Assumed, ...]:
    """The numbers of instances that were not stated, as they were chosen."""
    chosen = (("decode", stated[0], decode), ("prefill", stated[1], prefill))
    return tuple(
        Assumed(
            field=f"deployment.{name}.instances",
            value=str(count),
            why="not given: the split of the GPUs that carries most at this load",
        )
        for name, given, count in chosen
        if given is None
    )


def _layout(
    load: ModelLoad, pool: Pool, name: str, *, smallest: InferenceLayouts
) -> tuple[InferenceLayouts, tuple[Assumed, ...]]:
    """The stated degrees, or the smallest instance whose weights leave room for a cache, and that it was chosen."""
    tp, attention_dp = pool.tp or 1, pool.attention_dp or 1
    if pool.tp is None and pool.attention_dp is None:
        chosen = Assumed(
            field=f"deployment.{name}",
            value=f"tp {smallest.tp[0]}, attention_dp {smallest.attention_dp[0]}, ep {smallest.ep[0]}",
            why="not given: the smallest instance that holds the model and a cache",
        )
        return smallest, (chosen,)
    heads = query_heads(load)
    if heads % tp:
        message = f"must divide the {heads} attention heads of {load.architecture.id}"
        error = FieldError(field=f"deployment.{name}.tp", message=message, value=str(tp), limit=str(heads))
        raise InvalidRequestError(f"deployment.{name}.tp {message}", errors=(error,))
    tensor, attention = np.array([tp]), np.array([attention_dp])
    ranks = tp * attention_dp
    stated = load.is_moe and pool.ep is not None and ranks % pool.ep == 0
    layouts = InferenceLayouts(
        server=np.zeros(1, dtype=np.int64),
        tp=tensor,
        pp=np.ones(1, dtype=np.int64),
        attention_dp=attention,
        ep=np.array([pool.ep]) if stated else default_ep(load, tp=tensor, attention_dp=attention),
    )
    return layouts, ()


def _smallest(load: ModelLoad, deployment: Deployment, table: HardwareTable) -> InferenceLayouts:
    legal = legal_layouts(load, table, np.zeros(1, dtype=np.int64))
    legal = legal.take(np.flatnonzero((legal.pp == 1) & (2 * legal.gpus_instance <= max(2, deployment.gpus))))
    share = weight_bytes(load, legal) / table.memory_bytes[0]
    fits = np.flatnonzero(share <= MOST_WEIGHTS_FRACTION)
    if not fits.size:
        return legal.take(np.array([int(np.argmin(share))]))
    # Of equal sizes the one whose attention is data-parallel holds most of the cache.
    order = np.lexsort((-legal.attention_dp[fits], legal.gpus_instance[fits]))
    return legal.take(fits[order[:1]])


def _instances(pool: Pool | None, name: str, size: int) -> int | None:
    """How many instances are stated, or the GPUs of the pool make. Raises InvalidRequestError where the two differ."""
    if pool is None:
        return None
    if pool.instances is None or pool.gpus is None:
        return pool.instances if pool.gpus is None else max(1, pool.gpus // size)
    if pool.instances * size != pool.gpus:
        field, most = f"deployment.{name}.gpus", pool.instances * size
        message = f"must be {most}: {pool.instances} instances have {size} GPUs each"
        error = FieldError(field=field, message=message, value=str(pool.gpus), limit=str(most))
        raise InvalidRequestError(f"{field} {message}", errors=(error,))
    return pool.instances


def _splits(stated: tuple[int | None, int | None], *, sizes: tuple[int, int], gpus: int) -> tuple[tuple[int, int], ...]:
    """Every (decode, prefill) count that uses the GPUs: what is stated stays, the rest goes to the other pool."""
    decode, prefill = stated
    if decode is not None and prefill is not None:
        return ((decode, prefill),) if decode * sizes[0] + prefill * sizes[1] <= gpus else ()
    if decode is not None:
        left = (gpus - decode * sizes[0]) // sizes[1]
        return ((decode, left),) if left >= 1 else ()
    if prefill is not None:
        left = (gpus - prefill * sizes[1]) // sizes[0]
        return ((left, prefill),) if left >= 1 else ()
    most = (gpus - sizes[1]) // sizes[0]
    counts = range(1, most + 1) if most <= _MOST_SPLITS else np.linspace(1, most, _MOST_SPLITS).astype(int).tolist()
    return tuple((count, (gpus - count * sizes[0]) // sizes[1]) for count in counts)
