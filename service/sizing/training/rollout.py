"""Seconds of the rollouts of one reinforcement-learning step, decoded by the passes of the inference engine.

Before it trains, each group of GPUs holds the policy and decodes its part of the sequences, all at once; the step waits
for the longest.
"""

from dataclasses import dataclass

import numpy as np

from service.sizing.architecture import ModelArchitecture
from service.sizing.calibration import Calibration
from service.sizing.inference.layout import InferenceLayouts, query_heads
from service.sizing.inference.lines import Lengths
from service.sizing.inference.load import ModelLoad, model_load
from service.sizing.inference.machine import machine_of
from service.sizing.inference.overheads import overheads_of
from service.sizing.inference.software import software_of
from service.sizing.inference.step import Pass, step_parts
from service.sizing.precision import Precision
from service.sizing.table import FloatArray, HardwareTable, IntArray
from service.sizing.training.layouts import Layouts
from service.sizing.workload import ServingEngine

# The policy takes at most this share of the memory of the GPUs that decode together; the cache needs the rest.
_POLICY_FRACTION = 0.5
# What most stacks of reinforcement learning decode with.
_ENGINE = ServingEngine.VLLM
# Sequences of a pass that are evaluated, evenly on the logarithm; between them times are interpolated.
_FEWEST, _MOST, _POINTS = 0.25, 4096.0, 15
_MOST_TP = 8


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Decoding:
    """Per server: GPUs that decode together, the stages they form, and ln(seconds of a pass) at the sequences tried."""

    together: FloatArray
    stages: FloatArray
    log_pass_s: FloatArray

    def take(self, rows: IntArray) -> "Decoding":
        """The servers of these rows."""
        return Decoding(together=self.together[rows], stages=self.stages[rows], log_pass_s=self.log_pass_s[rows])


def decoding_of(
    architecture: ModelArchitecture,
    table: HardwareTable,
    calibration: Calibration,
    *,
    precision: Precision,
    length_tokens: float,
    month: str | None,
) -> Decoding:
    """Decode passes of the policy on every server, at half of the sequence in the cache: the mean of a rollout.

    The fewest GPUs, a power of two, that hold the policy in their share of memory decode together: tensor parallel as
    far as a server and the heads allow, in pipeline stages beyond.
    """
    load = model_load(architecture, weight=precision, kv=Precision.BF16)
    together = _together(load, table)
    tp = np.minimum(together, _widest(load, table))
    server = np.arange(len(table.servers), dtype=np.int64)
    layouts = InferenceLayouts(server=server, tp=tp, pp=together // tp, attention_dp=np.ones_like(tp), ep=tp)
    software = software_of(_ENGINE, month, calibration)
    machine = machine_of(load, layouts, software=software, table=table, calibration=calibration)
    sequences = np.exp(np.linspace(np.log(_FEWEST), np.log(_MOST), _POINTS))[None, :]
    carried = Pass(decode=sequences, lengths=Lengths(query_tokens=1.0, context_tokens=length_tokens / 2.0))
    overheads = overheads_of(load, software, calibration)
    pass_s = step_parts(load, machine, carried).elapsed_s(overheads)
    pass_s = (pass_s + overheads.sequence_s * overheads.host_vintage * sequences) * (1.0 + overheads.untuned_fraction)
    return Decoding(
        together=together.astype(np.float64),
        stages=(together // tp).astype(np.float64),
        log_pass_s=np.log(np.broadcast_to(pass_s, (server.size, _POINTS))),
    )


def _together(load: ModelLoad, table: HardwareTable) -> IntArray:
    held = np.maximum(1.0, load.checkpoint_bytes / (_POLICY_FRACTION * table.memory_bytes))
    return np.asarray(np.exp2(np.ceil(np.log2(held))), dtype=np.int64)


def _widest(load: ModelLoad, table: HardwareTable) -> IntArray:
    """The largest power of two that the heads divide by and a server holds."""
    heads = query_heads(load)
    most = min(_MOST_TP, heads & -heads)
    inside = np.exp2(np.floor(np.log2(table.gpus_server)))
    return np.asarray(np.minimum(most, inside), dtype=np.int64)


def rollout_s(
    layouts: Layouts, decoding: Decoding, *, length_tokens: FloatArray, gaps_s: FloatArray, rounds: IntArray
) -> FloatArray:
    """Decoding of the whole batch [s]: a pass and its gaps for every token of a sequence, all sequences at once."""
    together = np.minimum(decoding.together, layouts.gpus)
    sequences = layouts.dp * layouts.micro_batch * rounds * together / layouts.gpus
    place = (np.log(sequences / decoding.stages) - np.log(_FEWEST)) / (np.log(_MOST / _FEWEST) / (_POINTS - 1))
    below = np.clip(np.floor(place), 0, _POINTS - 2).astype(np.int64)
    rows = np.arange(below.size).reshape(below.shape)
    low, high = decoding.log_pass_s[rows, below], decoding.log_pass_s[rows, below + 1]
    # Beyond the last point a pass takes longer in proportion, as the last two say.
    pass_s = np.exp(low + np.maximum(0.0, place - below) * (high - low))
    return np.asarray(length_tokens * (pass_s + gaps_s), dtype=np.float64)
