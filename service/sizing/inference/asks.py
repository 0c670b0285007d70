"""What searches ask of serving: fleets for a demand, points at a load; of one question, or of several in one call."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from service.sizing.calibration import Calibration
from service.sizing.inference.fleet import Fleet, Targets, plan_fleet
from service.sizing.inference.margins import Margins, margins_of
from service.sizing.inference.memory import InferenceMemory
from service.sizing.inference.operate import operate, solve_batch
from service.sizing.inference.predict import PointValues, points_values
from service.sizing.inference.requests import Traffic, joint_traffic
from service.sizing.inference.serving import Bench
from service.sizing.inference.traffic import Unit
from service.sizing.joint import Ask, one_column, one_row, parted
from service.sizing.numeric import Numeric
from service.sizing.table import FloatArray, HardwareTable, IntArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FleetAsk(Ask):
    """The fleets of some layouts of a bench (`rows`) that carry a demand, `wanted` of each.

    `memory` is that of these layouts. `chunk_tokens` and `tpot_sigma_fraction` are a number or a column where a search
    bends what the bench has.
    """

    bench: Bench
    rows: IntArray
    memory: InferenceMemory
    chunk_tokens: Numeric
    tpot_sigma_fraction: Numeric
    traffic: Traffic
    unit: Unit
    wanted: FloatArray
    slo_s: tuple[float, float]
    longest_tokens: float
    confidence_fraction: float
    table: HardwareTable
    calibration: Calibration

    @property
    def alike(self) -> Hashable:
        """The bench, which one model in one format, mode and engine has; what formulas take as one number."""
        return self.bench, self.unit, self.traffic.percentile_fraction, self.traffic.closed_loop

    @property
    def size(self) -> int:
        """The number of candidates."""
        return self.rows.size

    def answers(self, asks: Sequence["FleetAsk"]) -> list[Fleet]:
        """A fleet of each."""
        sizes = [ask.size for ask in asks]
        bench = replace(
            self.bench.take(np.concatenate([ask.rows for ask in asks])),
            chunk_tokens=one_column([ask.chunk_tokens for ask in asks], sizes),
            tpot_sigma_fraction=one_column([ask.tpot_sigma_fraction for ask in asks], sizes),
        )
        fleet = plan_fleet(
            bench,
            InferenceMemory.together([ask.memory for ask in asks]),
            traffic=joint_traffic([ask.traffic for ask in asks], sizes),
            targets=Targets(
                unit=self.unit,
                wanted=one_row([ask.wanted for ask in asks], sizes),
                ttft_s=one_row([ask.slo_s[0] for ask in asks], sizes),
                tpot_s=one_row([ask.slo_s[1] for ask in asks], sizes),
                longest_tokens=one_row([ask.longest_tokens for ask in asks], sizes),
            ),
            margins=Margins.together([ask.margins for ask in asks]),
            table=self.table,
            calibration=self.calibration,
        )
        return [fleet] if len(asks) == 1 else [fleet.take(rows) for rows in parted(sizes)]

    @property
    def margins(self) -> Margins:
        """By the GPU of each candidate, at its own confidence."""
        return margins_of(
            self.bench,
            self.bench.layouts.server[self.rows],
            table=self.table,
            calibration=self.calibration,
            confidence=self.confidence_fraction,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PointAsk(Ask):
    """The points of some layouts of a bench (`rows`) at what they will carry: `wanted` of each, at most `limit`.

    Where GPUs are given, each carries what its `batch` does, or less where its pools cannot. `prefill_ratio` is a
    column, None where prefill and decode share GPUs.
    """

    bench: Bench
    rows: IntArray
    traffic: Traffic
    unit: Unit
    wanted: FloatArray
    limit: FloatArray
    batch: FloatArray
    prefill_ratio: FloatArray | None

    @property
    def alike(self) -> Hashable:
        """As for fleets."""
        return self.bench, self.unit, self.traffic.percentile_fraction, self.traffic.closed_loop

    @property
    def size(self) -> int:
        """The number of candidates."""
        return self.rows.size

    def answers(self, asks: Sequence["PointAsk"]) -> list[list[PointValues]]:
        """The points of each, as plain numbers."""
        sizes = [ask.size for ask in asks]
        bench = self.bench.take(np.concatenate([ask.rows for ask in asks]))
        traffic = joint_traffic([ask.traffic for ask in asks], sizes)
        ratios = [ask.prefill_ratio for ask in asks if ask.prefill_ratio is not None]
        ratio = np.concatenate(ratios) if ratios else None
        batch, given = np.concatenate([ask.batch for ask in asks]), self.unit is Unit.GPUS
        if ratio is not None or not given:
            solved = solve_batch(
                bench,
                wanted=np.concatenate([ask.wanted for ask in asks]),
                by_rate=self.unit is not Unit.IN_FLIGHT,
                limit=np.concatenate([ask.limit for ask in asks]),
                traffic=traffic,
                prefill_ratio=ratio,
            )
            # Between points of its grid a batch is solved for to a thousandth: never beyond what keeps the bounds.
            batch = np.minimum(solved, batch)
        values = points_values(operate(bench, batch=batch, traffic=traffic, prefill_ratio=ratio))
        return [values[rows] for rows in parted(sizes)]
