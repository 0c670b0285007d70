"""Whole instances and servers: as many as so many GPUs hold, or as many as a demand takes."""

from dataclasses import dataclass

import numpy as np

from service.sizing.inference.serving import ServingPoint
from service.sizing.table import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Counts:
    """Of each candidate; without GPUs of their own for prefill all instances decode."""

    decoding: FloatArray
    prefilling: FloatArray
    servers: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Held(Counts):
    """What so many GPUs hold: whether too few for one instance of each, and how much of decode is prefilled for."""

    too_few: BoolArray
    fed_fraction: FloatArray


def held_by(gpus: FloatArray, *, ratio: FloatArray, instance: IntArray, size: IntArray) -> Held:
    """Instances of `instance` GPUs on servers of `size`, `ratio` of prefill to decode."""
    servers = np.ceil(gpus / size)
    placed = np.where(instance <= size, servers * (size // instance), np.floor(servers * size / instance))
    total = np.minimum(np.floor(gpus / instance), placed)
    apart = ratio > 0.0
    decoding = np.where(apart, np.maximum(1.0, np.floor(total / (1.0 + ratio))), total)
    prefilling = np.where(apart, np.maximum(0.0, total - decoding), 0.0)
    # One decode instance may be more than the other instances can prefill for.
    fed = np.minimum(1.0, prefilling / np.where(apart, decoding * ratio, 1.0))
    return Held(
        decoding=decoding,
        prefilling=prefilling,
        servers=servers,
        too_few=(total < 1.0) | (apart & (prefilling < 1.0)),
        fed_fraction=np.where(apart, fed, 1.0),
    )


def taken_by(
    wanted: FloatArray,
    capacity: FloatArray,
    *,
    ratio: FloatArray,
    in_flight: ServingPoint | None,
    instance: IntArray,
    size: IntArray,
) -> Counts:
    """Instances that carry `wanted` where each carries `capacity`; requests in flight are a demand of their own.

    `in_flight` is then what an instance was tried at.
    """
    decoding = np.maximum(1.0, np.ceil(wanted / capacity - 1e-9))
    if in_flight is None:
        needed = wanted / capacity * ratio
    else:
        # With fewer requests in flight than it holds, a decode instance still comes near to its full rate.
        needed = decoding * np.minimum(ratio, _ratio_at(in_flight, wanted / decoding))
    prefilling = np.where(ratio > 0.0, np.maximum(1.0, np.ceil(needed - 1e-9)), 0.0)
    servers = _servers(decoding + prefilling, instance=instance, size=size)
    # Whole servers are bought: copies fill them, and each carries less.
    filled = np.where(instance <= size, servers * (size // instance), decoding)
    return Counts(
        decoding=np.where(ratio > 0.0, decoding, np.maximum(decoding, filled)), prefilling=prefilling, servers=servers
    )


def reached(carried: FloatArray, share: FloatArray) -> IntArray:
    """The first batch that carries as much; the first of all where none does."""
    return np.asarray(np.argmax(np.maximum.accumulate(carried, axis=1) >= share[:, None], axis=1), dtype=np.int64)


def _ratio_at(point: ServingPoint, in_flight: FloatArray) -> FloatArray:
    """Prefill instances to a decode instance with so many requests in flight; infinite beyond what it was tried at."""
    ratio = point.prefill_instances[np.arange(in_flight.size), reached(point.in_flight, in_flight)]
    return np.where(point.in_flight.max(axis=1) >= in_flight, ratio, np.inf)


def _servers(instances: FloatArray, *, instance: IntArray, size: IntArray) -> FloatArray:
    """Whole servers: instances smaller than a server share one, larger ones take several."""
    shared = np.ceil(instances / np.maximum(1, size // instance))
    return np.asarray(np.where(instance <= size, shared, instances * np.ceil(instance / size)), dtype=np.float64)
