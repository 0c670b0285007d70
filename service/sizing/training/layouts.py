"""Layouts: every way to spread one training over GPUs, as equal-length arrays; legality and enumeration."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np

from service.sizing.result import ParallelLayout
from service.sizing.table import BoolArray, FloatArray, IntArray
from service.sizing.training.shape import Shape
from service.sizing.workload import Recompute, Sharding

SHARDINGS: tuple[Sharding, ...] = (Sharding.NONE, Sharding.ZERO1, Sharding.ZERO2, Sharding.ZERO3)
_FULL = 2
RECOMPUTES: tuple[Recompute, ...] = (Recompute.NONE, Recompute.SELECTIVE, Recompute.FULL)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Layouts:
    """One row per candidate. `sharding` is the ZeRO stage 0..3, `recompute` an index into RECOMPUTES.

    `recompute_fraction` is the share of the layers that full recompute makes again; without it nothing reads it.
    """

    tp: IntArray
    pp: IntArray
    vpp: IntArray
    cp: IntArray
    ep: IntArray
    dp: IntArray
    micro_batch: IntArray
    sharding: IntArray
    recompute: IntArray
    recompute_fraction: FloatArray

    @property
    def gpus(self) -> IntArray:
        """GPUs of one training: tp x pp x cp x dp. Experts are spread over the same GPUs."""
        return self.tp * self.pp * self.cp * self.dp

    def __len__(self) -> int:
        return int(self.tp.shape[0])

    @classmethod
    def together(cls, each: Sequence[Self]) -> Self:
        """All of them, one after another."""
        return cls(**{f.name: np.concatenate([getattr(one, f.name) for one in each]) for f in fields(cls)})

    def take(self, rows: IntArray | BoolArray | slice) -> Self:
        """The rows that an index or a mask selects."""
        return type(self)(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})

    def with_recompute(self, recompute: IntArray, fraction: FloatArray | None = None) -> Self:
        """The same rows under another recompute, of a share of the layers or of all."""
        changed = {f.name: getattr(self, f.name) for f in fields(self)}
        share = np.ones(np.shape(recompute)) if fraction is None else fraction
        return type(self)(**(changed | {"recompute": recompute, "recompute_fraction": share}))

    @property
    def made_again(self) -> FloatArray:
        """Share of the layers whose forward pass runs again."""
        return np.where(self.recompute >= _FULL, self.recompute_fraction, 0.0)

    def layout(self, row: int) -> ParallelLayout:
        """One row as a result states it."""
        return ParallelLayout(
            tp=int(self.tp[row]),
            pp=int(self.pp[row]),
            dp=int(self.dp[row]),
            ep=int(self.ep[row]),
            cp=int(self.cp[row]),
            vpp=int(self.vpp[row]),
            micro_batch=int(self.micro_batch[row]),
            recompute=RECOMPUTES[int(self.recompute[row])].value,
            recompute_fraction=float(self.recompute_fraction[row]) if self.recompute[row] == _FULL else None,
            sharding=SHARDINGS[int(self.sharding[row])].value,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """The values that each degree may take; a degree that a caller fixed has one."""

    tp: tuple[int, ...]
    pp: tuple[int, ...]
    vpp: tuple[int, ...]
    cp: tuple[int, ...]
    ep: tuple[int, ...]
    dp: tuple[int, ...]
    micro_batch: tuple[int, ...]
    sharding: tuple[int, ...]


def divisors(number: int) -> tuple[int, ...]:
    """Every divisor, ascending."""
    small = [d for d in range(1, int(np.sqrt(number)) + 1) if number % d == 0]
    return tuple(sorted({*small, *(number // d for d in small)}))


def micro_batches(layouts: Layouts, global_batch: int) -> IntArray:
    """Micro-batches that one pipeline works through in a step: batch / (dp x micro batch)."""
    return global_batch // (layouts.dp * layouts.micro_batch)


def batch_divides(layouts: Layouts, global_batch: int) -> BoolArray:
    """Whether the global batch divides evenly over data-parallel ranks and micro-batches."""
    share = layouts.dp * layouts.micro_batch
    return np.asarray((global_batch % share == 0) & (share <= global_batch))


def holds_experts(layouts: Layouts, shape: Shape) -> BoolArray:
    """Whether the experts of a stage divide over so many of its GPUs: none is spread over more."""
    experts = int(shape.experts)
    expert_ranks = layouts.tp * layouts.cp * layouts.dp
    split = (experts % layouts.ep == 0) & (expert_ranks % layouts.ep == 0)
    return np.asarray(split if experts else layouts.ep == 1)


def legal(layouts: Layouts, shape: Shape) -> BoolArray:
    """Layouts that public training stacks can run for this model, the batch left aside."""
    return np.asarray(
        (int(shape.heads) % layouts.tp == 0)
        & (layouts.pp * layouts.vpp <= int(shape.layers))
        & ((layouts.vpp == 1) | (layouts.pp > 1))
        # A shard of a sequence must hold at least some hundred tokens, else ring attention is all latency.
        & ((layouts.cp == 1) | (shape.seq_len_tokens >= _MIN_CP_TOKENS * layouts.cp))
        # ZeRO-2 and ZeRO-3 reshard after each micro-batch, which a pipeline of several stages forbids.
        & ((layouts.sharding < _ZERO2) | (layouts.pp == 1))
        & holds_experts(layouts, shape)
    )


_ZERO2 = 2
_MIN_CP_TOKENS = 2048


def enumerate_layouts(choices: Choices) -> Layouts:
    """The full cross product of the choices, without recompute (the search picks the lightest that fits)."""
    grids = np.meshgrid(
        *(
            np.asarray(values, dtype=np.int64)
            for values in (
                choices.tp,
                choices.pp,
                choices.vpp,
                choices.cp,
                choices.ep,
                choices.dp,
                choices.micro_batch,
                choices.sharding,
            )
        ),
        indexing="ij",
    )
    tp, pp, vpp, cp, ep, dp, micro_batch, sharding = (grid.ravel() for grid in grids)
    return Layouts(
        tp=tp,
        pp=pp,
        vpp=vpp,
        cp=cp,
        ep=ep,
        dp=dp,
        micro_batch=micro_batch,
        sharding=sharding,
        recompute=np.zeros_like(tp),
        recompute_fraction=np.ones(tp.shape),
    )
