"""Runs predicted by fits that had not seen them, their GPU or their source; and what that says of bands."""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from scripts.calibration.science_curves import arm_of, beyond
from scripts.calibration.science_fit import Fitted, dynamics, fit_curves, plain_runs
from scripts.calibration.science_laws import LEAST_GPUS, with_laws
from scripts.calibration.science_runs import ScienceRun, fitted_calibration, predictions
from service.catalog.catalog import Catalog
from service.sizing.science.application import Application, Template, TransferLaw

NOTHING, RUN, GPU, SOURCE = "nothing", "run", "gpu", "source"


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """One run predicted: ln(measured / predicted), and the arms of its 80 % interval.

    `gpu_seen` is whether what was fitted on had another run of the application on its GPU.
    """

    run: ScienceRun
    left_out: str
    gpu_seen: bool
    ln_missed: float
    down: float
    up: float

    @property
    def inside(self) -> bool:
        """Whether measured lies in the interval."""
        return -self.down <= self.ln_missed <= self.up

    @property
    def arm(self) -> float:
        """The arm on the side on which measured lies."""
        return self.up if self.ln_missed > 0.0 else self.down


def left_out(
    catalog: Catalog, fitted: Fitted, runs: Sequence[ScienceRun], part: str, say: Callable[[str], None]
) -> list[Missed]:
    """Every run by a fit without it (`run`), its GPU or its source; or by the whole fit (`nothing`)."""
    if part == NOTHING:
        seen = frozenset(run.gpu for run in runs)
        return _missed(catalog, fitted, fitted.applications, runs, part=part, gpus_seen=seen)
    found: list[Missed] = []
    for name, whole in fitted.applications.items():
        mine = [run for run in runs if run.application == name]
        if part != RUN:
            say(f"{name}: leaving out each {part}")
        for without in _folds(mine, part):
            kept = [run for run in mine if _of(run, part) != without]
            left = [run for run in mine if _of(run, part) == without]
            pool = [run for run in dynamics(runs) if _of(run, part) != without]
            again = _without(catalog, whole, kept, pool=pool, part=part, value=without)
            seen = frozenset(run.gpu for run in kept)
            found += _missed(catalog, fitted, {name: again}, left, part=part, gpus_seen=seen)
    return found


def with_other_settings(catalog: Catalog, fitted: Fitted, runs: Sequence[ScienceRun]) -> Fitted:
    """The fit with the arm by which settings of one source miss those of another, beside what intervals hold."""
    missed = left_out(catalog, fitted, runs, SOURCE, lambda _: None)
    scores = [beyond(one.ln_missed, one.arm) for one in missed if one.run.settings is not None]
    return replace(fitted, other_settings_ln_arm=arm_of(scores, most=math.inf) if len(scores) > 1 else 0.0)


def with_few_gpu_bands(fitted: Fitted, missed: Sequence[Missed]) -> tuple[Fitted, list[Missed]]:
    """Where fewer than three GPUs ran, config/science judges the band between GPUs: it is widened to what was missed.

    And the same misses with the arms that they then have.
    """
    applications, moved = dict(fitted.applications), list(missed)
    for name, application in fitted.applications.items():
        law = application.law
        mine = [one for one in missed if one.run.application == name and one.left_out == GPU]
        gpus = {one.run.gpu for one in mine}
        if law is None or not mine or len(gpus) >= LEAST_GPUS or gpus & {t.to_gpu for t in application.transfers}:
            continue
        scores = [beyond(one.ln_missed, _less(one.arm, law.ln_high)) for one in mine]
        arm = max(law.ln_high, arm_of(scores, most=math.inf))
        applications[name] = replace(application, law=replace(law, ln_low=-arm, ln_high=arm))
        moved = [_rebanded(one, law.ln_high, arm) if one in mine else one for one in moved]
    return replace(fitted, applications=applications), moved


def _rebanded(one: Missed, before: float, after: float) -> Missed:
    down, up = (math.hypot(_less(arm, before), after) for arm in (one.down, one.up))
    return replace(one, down=down, up=up)


def _less(arm: float, part: float) -> float:
    """An arm without one of the parts that were added to it in quadrature."""
    return math.sqrt(max(0.0, arm * arm - part * part))


def _of(run: ScienceRun, part: str) -> str:
    return run.id if part == RUN else str(getattr(run, part))


def _folds(runs: Sequence[ScienceRun], part: str) -> Iterator[str]:
    """Everything without which something of the application is still measured."""
    values = Counter(_of(run, part) for run in runs)
    if len(values) > 1:
        yield from sorted(values)


def _without(
    catalog: Catalog,
    whole: Application,
    kept: Sequence[ScienceRun],
    *,
    pool: Sequence[ScienceRun],
    part: str,
    value: str,
) -> Application:
    """The application fitted on what is kept, with the bands of the whole; one run less leaves its law as it is."""
    facts = catalog.applications[whole.id]
    again = fit_curves(catalog, facts, kept)
    if whole.law is None or part == RUN:
        return replace(again, law=whole.law, variant_laws=whole.variant_laws)
    mine = pool if whole.template is Template.MD else ()
    alone = plain_runs(catalog, facts, kept)
    again = with_laws(catalog, again, alone, pool=mine, without=value if part == GPU else "")

    def banded(law: TransferLaw | None, of: TransferLaw | None) -> TransferLaw | None:
        return law if law is None or of is None else replace(law, ln_low=of.ln_low, ln_high=of.ln_high)

    return replace(
        again,
        law=banded(again.law, whole.law),
        variant_laws=tuple(law for own in again.variant_laws if (law := banded(own, whole.law_of(str(own.variant))))),
    )


def _missed(
    catalog: Catalog,
    fitted: Fitted,
    applications: Mapping[str, Application],
    runs: Sequence[ScienceRun],
    *,
    part: str,
    gpus_seen: frozenset[str],
) -> list[Missed]:
    calibration = fitted_calibration(
        catalog.calibration,
        padding=fitted.padding_time_factor,
        padding_ln_arm=fitted.padding_ln_arm,
        other_settings=fitted.other_settings_ln_arm,
    )
    found = predictions(replace(catalog, calibration=calibration), applications, list(runs))
    return [
        Missed(
            run=run,
            left_out=part,
            gpu_seen=run.gpu in gpus_seen,
            ln_missed=math.log(measured / interval.p50),
            down=math.log(interval.p50 / interval.p10),
            up=math.log(interval.p90 / interval.p50),
        )
        for run, interval, measured in found
        if math.isfinite(interval.p50) and interval.p50 > 0.0
    ]
