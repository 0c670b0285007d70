"""How near a predictor can come to pools of unstated size: what the runs of one published curve tell of each other.

    python -m scripts.validation.pool_floor PREDICTIONS.jsonl

PREDICTIONS.jsonl is what `scripts/validate --json` wrote. A curve is all runs that state the same but for their load.
Every predictor but the engine has seen the measured runs of the very curve, all but the one that it predicts, so that
no function of stated fields alone, fitted on other curves, is to be expected to be nearer.
"""

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson

from service.sizing.table import FloatArray, IntArray

_EVIDENCE = Path(__file__).resolve().parents[2] / "config" / "evidence" / "inference.jsonl"
_METRICS = ("tpot_ms", "ttft_ms")
# A line through a curve that has fewer points besides is not one.
_LEAST_OTHERS = 4
# Neighbours on a curve: the higher load is at most so many times the lower one.
_NEAR = 2.05
# Fields of a deployment that tell what share of the experts a GPU holds whole; nothing else sets twins apart.
_EXPERT_FIELDS = frozenset({"ep", "moe_tp"})

Guess = Callable[[FloatArray, FloatArray, float], float]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Points:
    """Runs of one metric: their group, curve and twin (the curve but for how experts are split), one number for each;
    ln of load, of what was measured and of what the engine predicted.
    """

    group: IntArray
    curve: IntArray
    twin: IntArray
    load: FloatArray
    measured: FloatArray
    predicted: FloatArray


def points(evidence: Path, predictions: Path, metric: str, split: str) -> Points:
    """The disaggregated runs of a split at a stated number of requests in flight. Raises OSError for missing files."""
    lines = (orjson.loads(line) for line in predictions.read_bytes().splitlines())
    predicted = {line["id"]: line["p50"] for line in lines if line["metric"] == metric and line["p50"]}
    found = [
        run
        for run in map(orjson.loads, evidence.read_bytes().splitlines())
        if run["split"] == split and run["id"] in predicted and _is_pooled(run)
    ]
    return Points(
        group=_numbered((run["source"], *_said(run, ("gpu",)), run["workload"]["weight_precision"]) for run in found),
        curve=_numbered(_stated(run, frozenset()) for run in found),
        twin=_numbered(_stated(run, _EXPERT_FIELDS) for run in found),
        load=np.log([run["deployment"]["load"]["value"] for run in found]),
        measured=np.log([run["measured"][metric] for run in found]),
        predicted=np.log([predicted[run["id"]] for run in found]),
    )


def _is_pooled(run: dict[str, dict[str, object]]) -> bool:
    load = run["deployment"].get("load")
    return run["deployment"].get("mode") == "disaggregated" and isinstance(load, dict) and "value" in load


def _said(run: dict[str, dict[str, object]], fields: Iterable[str]) -> tuple[str, ...]:
    return tuple(str(run["deployment"].get(field)) for field in fields)


def _stated(run: dict[str, dict[str, object]], without: frozenset[str]) -> str:
    """All that a run states but for its load, and these fields of its pools; months apart are no other deployment."""
    deployment = dict(run["deployment"])
    deployment.pop("load")
    for pool in ("prefill", "decode"):
        stated = deployment.get(pool)
        if isinstance(stated, dict):
            deployment[pool] = {field: value for field, value in stated.items() if field not in without}
    month = () if without else run["published"]
    return orjson.dumps([run["source"], month, run["workload"], deployment], option=orjson.OPT_SORT_KEYS).decode()


def _numbered(keys: Iterable[object]) -> IntArray:
    numbers: dict[object, int] = {}
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.int64)


def left_out(runs: Points, guess: Guess) -> FloatArray:
    """Of every run what `guess` makes of the others on its curve (loads, values, its load); NaN where it is unable."""
    found = np.full(runs.load.size, np.nan)
    for row in range(runs.load.size):
        others = np.flatnonzero((runs.curve == runs.curve[row]) & (np.arange(runs.load.size) != row))
        others = others[np.argsort(runs.load[others], kind="stable")]
        found[row] = guess(runs.load[others], runs.measured[others], runs.load[row])
    return found


def between(loads: FloatArray, values: FloatArray, load: float) -> float:
    """On the straight line between both neighbours, in logarithms."""
    if loads.size < 2 or not loads[0] <= load <= loads[-1]:
        return float("nan")
    return float(np.interp(load, loads, values))


def line(loads: FloatArray, values: FloatArray, load: float) -> float:
    """On the power law through all others."""
    if loads.size < _LEAST_OTHERS:
        return float("nan")
    return float(np.polyval(np.polyfit(loads, values, 1), load))


def _row(name: str, runs: Points, guessed: FloatArray) -> str:
    known = np.isfinite(guessed)
    if not known.any():
        return f"{name:58s} -"
    errors = np.abs(np.expm1(guessed - runs.measured))[known]
    groups = [np.median(errors[runs.group[known] == group]) for group in np.unique(runs.group[known])]
    figures = (np.median(groups), np.median(errors), np.quantile(errors, 0.9))
    return f"{name:58s}" + "".join(f"{100.0 * figure:9.1f}%" for figure in figures) + f"{known.sum():7d}"


def _scaled(runs: Points) -> FloatArray:
    """The engine times the median factor of the other runs of its curve."""
    found = np.full(runs.load.size, np.nan)
    factors = runs.measured - runs.predicted
    for row in range(runs.load.size):
        others = (runs.curve == runs.curve[row]) & (np.arange(runs.load.size) != row)
        if others.any():
            found[row] = runs.predicted[row] + np.median(factors[others])
    return found


def falls(runs: Points) -> tuple[int, FloatArray]:
    """How many neighbours there are, and (a - b) / (a + b) of those whose higher load was measured lower.

    One of the two is missed by that much at least where a prediction rises with the load.
    """
    order = np.lexsort((runs.load, runs.curve))
    curve, load, measured = runs.curve[order], runs.load[order], runs.measured[order]
    near = (curve[1:] == curve[:-1]) & (load[1:] - load[:-1] <= np.log(_NEAR)) & (load[1:] > load[:-1])
    step = (measured[1:] - measured[:-1])[near]
    return int(near.sum()), np.asarray(np.tanh(-step[step < 0.0] / 2.0), dtype=np.float64)


def twins(runs: Points) -> FloatArray:
    """How far (b / a - 1) runs at one load lie apart that state the same but for how experts are split."""
    same = (runs.twin[:, None] == runs.twin) & (runs.load[:, None] == runs.load)
    first, second = np.nonzero(np.triu(same, 1))
    return np.asarray(np.expm1(np.abs(runs.measured[first] - runs.measured[second])), dtype=np.float64)


def table(runs: Points, name: str) -> str:
    """All of it as people read it."""
    count, lower = falls(runs)
    apart = twins(runs)
    lines = [
        f"{name}: {runs.load.size} runs, {np.unique(runs.curve).size} curves",
        f"{'':58s}{'groups':>10s}{'rows':>10s}{'p90':>10s}{'n':>7s}",
        _row("engine, as it is fitted", runs, runs.predicted),
        _row("engine x the median factor of the rest of the curve", runs, _scaled(runs)),
        _row("between both neighbours on the measured curve", runs, left_out(runs, between)),
        _row("a power law of the load through the rest of the curve", runs, left_out(runs, line)),
    ]
    if count and lower.size:
        lines.append(
            f"of {count} neighbours {lower.size} measured lower at the higher load; what rises with the load misses "
            f"one of the two by {100.0 * np.median(lower):.0f} % (median), {100.0 * lower.max():.0f} % (most)"
        )
    if apart.size:
        lines.append(f"{apart.size} twins lie {100.0 * np.median(apart):.1f} % apart (median)")
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Print the tables of both splits; 2 without a readable file."""
    if len(arguments) != 1 or not Path(arguments[0]).is_file():
        print("usage: python -m scripts.validation.pool_floor PREDICTIONS.jsonl", file=sys.stderr)
        return 2
    for split in ("calibration", "validation"):
        for metric in _METRICS:
            print(table(points(_EVIDENCE, Path(arguments[0]), metric, split), f"{metric}, {split}"), end="\n\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
