"""Collectives of a pass: all-reduces of tensor parallelism, dispatch and combine of experts, pipeline hand-overs."""

from dataclasses import dataclass

import numpy as np

from service.sizing.inference.load import ACTIVATION_BYTES, ModelLoad
from service.sizing.inference.machine import Machine
from service.sizing.network import point_to_point_s, reduced_share
from service.sizing.operation import Line, Work
from service.sizing.table import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Exchanges:
    """What a token between GPUs takes; `number` counts the collectives of a pass, of which `reduces` are all-reduces.

    Dispatch and combine of experts, two a layer, run where ranks of attention data parallelism are `apart`.
    """

    number: FloatArray
    reduces: FloatArray
    reduce: Line
    split: BoolArray
    exchanges: float
    exchange: Line | None
    apart: BoolArray
    crosses_s: FloatArray
    # What one all-reduce takes beyond its line: so long at most, half of it for so many tokens.
    direct_s: FloatArray
    direct_tokens: FloatArray
    # Pipeline stages behind the first, None where nobody has any.
    stages: IntArray | None
    stage_bytes: FloatArray
    stage_bytes_s: FloatArray
    stage_launch_s: FloatArray

    def time_s(self, tokens: FloatArray) -> FloatArray:
        """All of them [s] for so many tokens."""
        reduced = _each_s(self.reduce, tokens, self.reduces, crosses_s=self.crosses_s)
        reduced += self.direct_s * (tokens / (tokens + self.direct_tokens))
        total = np.where(self.split, reduced, 0.0)
        if self.exchange is not None:
            took = _each_s(self.exchange, tokens, self.exchanges, crosses_s=self.crosses_s)
            total += np.where(self.apart, took, 0.0)
        if self.stages is None:
            return total
        hand_over = point_to_point_s(
            sent_bytes=tokens * self.stage_bytes, bytes_s=self.stage_bytes_s, latency_s=self.stage_launch_s
        )
        hand_over *= self.stages
        total += hand_over
        return total


def _each_s(line: Line, tokens: FloatArray, number: FloatArray | float, *, crosses_s: FloatArray) -> FloatArray:
    """So many collectives [s], each launched; in place, as the line's own work."""
    took = line.work_s(tokens)
    took += line.launch_s
    took += crosses_s
    took *= number
    return took


def exchanges_of(load: ModelLoad, machine: Machine) -> Exchanges:
    """Two all-reduces a layer under tensor parallelism, dispatch and combine of experts, and what stages pass on."""
    moe_layers = sum(kind.layers for kind in load.experts)
    apart = machine.attention_dp > 1
    split = machine.tp > 1
    reduces = 2.0 * load.architecture.layers - np.where(apart, moe_layers, 0.0)
    alone = bool((machine.pp == 1).all() and np.isfinite(machine.all_reduce.launch_s).all())
    return Exchanges(
        number=np.where(split, reduces, 0.0) + np.where(apart, 2.0 * moe_layers, 0.0),
        reduces=reduces,
        reduce=_reduce(load, machine),
        split=split,
        exchanges=2.0 * moe_layers,
        exchange=_exchange(load, machine),
        apart=apart,
        crosses_s=machine.crosses_s,
        direct_s=reduces
        * machine.all_reduce.side_weight
        * _peers(machine.tp)
        * machine.all_reduce.direct_bytes
        / machine.all_reduce.bytes_s,
        direct_tokens=machine.all_reduce.direct_bytes / _stream_bytes(load),
        stages=None if alone and (machine.stage_bytes_s > 0.0).all() else machine.pp - 1,
        stage_bytes=_stream_bytes(load) / machine.tp,
        stage_bytes_s=machine.stage_bytes_s,
        stage_launch_s=machine.all_reduce.launch_s,
    )


def _peers(ranks: IntArray) -> FloatArray:
    """Ranks beyond the first."""
    return np.asarray(ranks - 1, dtype=np.float64)


def _stream_bytes(load: ModelLoad) -> float:
    """The residual stream of one token [bytes]."""
    return load.architecture.hidden * ACTIVATION_BYTES


def _reduce(load: ModelLoad, machine: Machine) -> Line:
    """One all-reduce of tensor parallelism."""
    share = reduced_share(_peers(machine.tp), spread=machine.all_reduce.spread)
    token = Work(flop=0.0, main_bytes=share * _stream_bytes(load))
    return machine.all_reduce.line(each=token, depth=_peers(machine.tp))


def _exchange(load: ModelLoad, machine: Machine) -> Line | None:
    """One dispatch or combine of experts."""
    if machine.exchange is None:
        return None
    peers = machine.tp * machine.attention_dp
    copies = np.minimum(load.top_k, peers) * (peers - 1.0) / peers
    token = Work(flop=0.0, main_bytes=_stream_bytes(load) / machine.tp * copies)
    return machine.exchange.line(each=token, depth=_peers(peers))
