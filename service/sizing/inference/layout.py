"""InferenceLayouts: equal-length arrays of (server, tp, pp, attention_dp), a row per way to run one instance."""

from dataclasses import dataclass

import numpy as np

from service.sizing.inference.load import ModelLoad
from service.sizing.result import ParallelLayout, PoolPlan
from service.sizing.table import HardwareTable, IntArray

_DEGREES = (1, 2, 4, 8, 16, 32, 64, 72)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class InferenceLayouts:
    """One row per candidate; `server` is a row of the hardware table.

    Routed experts are spread over tp x attention_dp GPUs: whole experts over `ep` of them, each cut over the rest.
    """

    server: IntArray
    tp: IntArray
    pp: IntArray
    attention_dp: IntArray
    ep: IntArray

    @property
    def gpus_instance(self) -> IntArray:
        """GPUs of one model instance."""
        return self.tp * self.pp * self.attention_dp

    def take(self, rows: IntArray) -> "InferenceLayouts":
        """The candidates of these rows, in their order."""
        return InferenceLayouts(
            server=self.server[rows],
            tp=self.tp[rows],
            pp=self.pp[rows],
            attention_dp=self.attention_dp[rows],
            ep=self.ep[rows],
        )


def parallel_layout(layouts: InferenceLayouts, row: int, *, ep: int) -> ParallelLayout:
    """One candidate as a result shows it."""
    tp, pp, attention_dp = (int(a[row]) for a in (layouts.tp, layouts.pp, layouts.attention_dp))
    return ParallelLayout(tp=tp, pp=pp, attention_dp=attention_dp, ep=ep)


def query_heads(load: ModelLoad) -> int:
    """Heads that tensor parallelism splits: of attention, or of the linear mixer where there is none."""
    return max((m.heads or m.value_heads for m in load.architecture.mixers), default=1)


def legal_layouts(load: ModelLoad, table: HardwareTable, rows: IntArray) -> InferenceLayouts:
    """Every legal layout of the model on these servers: tp divides the heads and stays in the server, pp spans equal
    servers, attention-DP (MoE only) shares the server with tp.
    """
    heads = query_heads(load)
    grid = _degree_grid(_DEGREES if load.is_moe else (1,))
    server = np.repeat(rows, grid.shape[0])
    tp, pp, attention_dp = (np.tile(grid[:, i], rows.size) for i in range(3))
    size = table.gpus_server[server]
    inside = tp * attention_dp
    legal = (inside <= size) & (size % inside == 0)
    legal &= (heads % tp == 0) | (tp == 1)
    # Pipelines cross servers only when each stage fills one; inside a server they divide what tp leaves.
    legal &= (inside * pp <= size) | (inside == size)
    legal &= pp <= load.architecture.layers
    return InferenceLayouts(
        server=server[legal],
        tp=tp[legal],
        pp=pp[legal],
        attention_dp=attention_dp[legal],
        ep=default_ep(load, tp=tp[legal], attention_dp=attention_dp[legal]),
    )


def default_ep(load: ModelLoad, *, tp: IntArray, attention_dp: IntArray) -> IntArray:
    """Whole experts on every GPU where attention is data-parallel; with tensor parallelism alone they are cut too."""
    return np.where(load.is_moe & (attention_dp > 1), tp * attention_dp, 1)


def _degree_grid(attention: tuple[int, ...]) -> IntArray:
    return np.array(
        [(tp, pp, adp) for tp in _DEGREES for pp in (1, 2, 4, 8) for adp in attention if tp * adp <= 72], dtype=np.int64
    )


def pool_plan(layouts: InferenceLayouts, row: int, *, instances: int) -> PoolPlan:
    """So many instances of the layout of a row, as a result states them."""
    degrees = {name: int(getattr(layouts, name)[row]) for name in ("tp", "pp", "ep", "attention_dp")}
    return PoolPlan(instances=instances, **degrees)
