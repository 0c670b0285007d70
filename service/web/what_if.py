"""What if: quantities of a question that are worth moving, and the question after they were moved."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from service.schemas.inference import MODEL_PRECISIONS
from service.web.wording import digits, quantity

# A slider moves by powers of two, this far to either side, in steps of a quarter.
REACH = 3.0
STEP = 0.25
# Of each kind, the quantities in the order in which people ask for them.
_MOVED: dict[str, tuple[tuple[str, str], ...]] = {
    "inference": (
        ("workload.demand.users", "Users"),
        ("workload.demand.requests_s", "Requests per second"),
        ("workload.demand.concurrency", "Requests in flight"),
        ("workload.demand.output_tokens_s", "Output tokens per second"),
        ("workload.isl_tokens.mean", "Input tokens"),
        ("workload.osl_tokens.mean", "Output tokens"),
        ("workload.slo.ttft_ms", "First token within"),
        ("workload.slo.tpot_ms", "Further tokens within"),
    ),
    "training": (
        ("workload.tokens", "Tokens to train on"),
        ("workload.target.deadline_days", "Done within"),
        ("workload.target.gpus", "GPUs"),
        ("workload.seq_len_tokens", "Tokens of a sequence"),
    ),
    "science": (
        ("workload.targets_day", "Targets per day"),
        ("workload.ns_day", "Nanoseconds per day"),
        ("workload.genomes_day", "Genomes per day"),
        ("workload.forecasts_day", "Forecasts per day"),
        ("workload.designs_day", "Designs per day"),
        ("workload.ligands_day", "Ligands per day"),
        ("workload.tokens.mean", "Tokens of a target"),
        ("workload.replicas", "Trajectories"),
        ("workload.target.deadline_days", "Done within"),
    ),
}
_PRECISION = {"inference": "workload.weight_precision", "training": "workload.precision"}
_GROWTH = "workload.growth_fraction_year"
_WHOLE = ("gpus", "replicas", "seq_len_tokens")


@dataclass(frozen=True, slots=True, kw_only=True)
class Slider:
    """A quantity that can be moved; `moved` is the power of two that it is moved by."""

    path: str
    label: str
    base: float
    moved: float

    @property
    def value(self) -> float:
        """What it is moved to, in two digits."""
        return self._after(self.moved)

    @property
    def says(self) -> str:
        """The value in words."""
        return self._said(self.moved)

    @property
    def ends(self) -> tuple[str, str]:
        """The least and the most that it can be moved to, in words."""
        return self._said(-REACH), self._said(REACH)

    def _after(self, moved: float) -> float:
        value = self.base if not moved else float(f"{self.base * 2**moved:.2g}")
        return max(1.0, round(value)) if self.path.rpartition(".")[2] in _WHOLE else value

    def _said(self, moved: float) -> str:
        name = self.path.rpartition(".")[2]
        return digits(self._after(moved)) if name == "mean" else quantity(self._after(moved), name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pick:
    """One of several words."""

    path: str
    label: str
    chosen: str
    options: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    """What can be moved of a question, and how it stands."""

    sliders: tuple[Slider, ...]
    picks: tuple[Pick, ...]

    @property
    def moved(self) -> bool:
        """Whether anything is."""
        return any(slider.moved for slider in self.sliders)


def what_if(kind: str, question: Mapping[str, Any], typed: Mapping[str, str]) -> WhatIf:
    """The sliders of a question (canonical JSON), as they were moved."""
    sliders = []
    for path, label in _MOVED[kind]:
        base = _at(question, path)
        if isinstance(base, int | float) and base > 0:
            sliders.append(Slider(path=path, label=label, base=float(base), moved=_moved(typed.get(path, ""))))
    picks = []
    if kind in _PRECISION:
        path = _PRECISION[kind]
        options = tuple(str(one) for one in MODEL_PRECISIONS)
        picks.append(_pick(path, "Precision", options, question, typed))
    if kind == "inference":
        picks.append(_pick(_GROWTH, "Growth per year", ("0", "0.25", "0.5", "1"), question, typed))
    return WhatIf(sliders=tuple(sliders), picks=tuple(picks))


def moved_question(question: Mapping[str, Any], moves: WhatIf) -> dict[str, Any]:
    """The question after it was moved."""
    body: dict[str, Any] = copy.deepcopy({"workload": question["workload"], "constraints": question["constraints"]})
    for slider in moves.sliders:
        if slider.moved:
            _put(body, slider.path, slider.value)
    for pick in moves.picks:
        _put(body, pick.path, float(pick.chosen) if pick.path == _GROWTH else pick.chosen)
    return body


def _pick(
    path: str, label: str, options: tuple[str, ...], question: Mapping[str, Any], typed: Mapping[str, str]
) -> Pick:
    asked = _at(question, path)
    base = f"{asked:g}" if isinstance(asked, int | float) else str(asked)
    known = options if base in options else (base, *options)
    chosen = typed.get(path, base)
    return Pick(path=path, label=label, chosen=chosen if chosen in known else base, options=known)


def _moved(text: str) -> float:
    try:
        moved = float(text)
    except ValueError:
        return 0.0
    return moved if -REACH <= moved <= REACH else 0.0


def _at(body: Mapping[str, Any], path: str) -> Any:
    place: Any = body
    for part in path.split("."):
        if part == "mean" and isinstance(place, int | float):
            return place
        place = place.get(part) if isinstance(place, Mapping) else None
    return place


def _put(body: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split(".")
    place = body
    for parent in parents[:-1] if last == "mean" else parents:
        place = place[parent]
    if last != "mean":
        place[last] = value
        return
    # The percentile moves with the mean.
    length = place[parents[-1]]
    if isinstance(length, dict):
        factor = value / length["mean"]
        place[parents[-1]] = {
            name: value if name == "mean" else float(f"{old * factor:.3g}")
            for name, old in length.items()
            if old is not None
        }
    else:
        place[parents[-1]] = value
