"""Measured scientific jobs -> the seconds per unit of work on one GPU that each means, by asking the engine itself."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import orjson

from scripts.calibration.refusals import Refuse, unheard
from service.catalog.catalog import Catalog
from service.errors import PlannerError
from service.planning.rerun.science import evaluate_science, science_metrics
from service.schemas.coordinates import coordinates
from service.schemas.evidence import read_measured
from service.schemas.measured import MeasuredScience
from service.sizing.calibration import ANY_SCOPE, Calibration, Coefficient
from service.sizing.interval import Interval
from service.sizing.science.application import Application, Curve, SpillLaw, Template
from service.sizing.science.describe import describe
from service.sizing.science.rates import has_settings
from service.sizing.science.workload import MdWorkload, ScienceWorkload

# Metrics that grow with the time of a unit; all others of a run fall with it.
_TIMES = frozenset({"elapsed_s", "gpu_seconds_target", "step_time_s", "time_to_train_min"})
PADDING = "science.padding_time_factor"
PADDING_LN_ARM = "science.padding_ln_arm"
OTHER_SETTINGS = "science.other_settings_ln_arm"
_RATES = frozenset({"ns_day", "mlups", "tokens_s_gpu", "model_tflops_gpu", "steps_s", "tflops"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ScienceRun:
    """One measured run: where it belongs, and the seconds per unit that it means if GPUs lose nothing to each other.

    `base` is the variant that `variant` is relative to; `size` is what curves run over.
    """

    id: str
    source: str
    application: str
    template: Template
    variant: str
    base: str
    gpu: str
    gpus: int
    size: float
    unit_s: float
    padded: bool
    timestep_fs: float | None
    line: MeasuredScience
    group: tuple[str, ...]

    @property
    def settings(self) -> str | None:
        """As published, of work that has settings."""
        return self.line.workload.settings if has_settings(self.template) else None


def science_runs(
    catalog: Catalog, path: Path, say: Callable[[str], None], refuse: Refuse = unheard
) -> list[ScienceRun]:
    """The runs of a file that may be fitted: timings whose split is calibration, of applications of the catalog."""
    probe = _probe(catalog)
    found = []
    for line in path.read_bytes().splitlines():
        raw = orjson.loads(line)
        run = read_measured(raw)
        if raw.get("split") == "calibration" and raw.get("scope") == "timing" and isinstance(run, MeasuredScience):
            made = _run(probe, run, source=str(raw["source"]), group=coordinates(raw).group, refuse=refuse)
            found += [] if made is None else [made]
    say(f"{len(found)} scientific jobs to fit on")
    return found


def _run(
    probe: Catalog, line: MeasuredScience, *, source: str, group: tuple[str, ...], refuse: Refuse
) -> ScienceRun | None:
    try:
        evaluated = evaluate_science(probe, line)
    except PlannerError as error:
        refuse(line.id, error)
        return None
    workload, application = evaluated.rerun.workload, evaluated.rerun.application
    assert application is not None
    assert isinstance(workload, ScienceWorkload)
    job = describe(workload, application, probe.calibration)
    for name, metric in science_metrics(line, evaluated).items():
        measured = line.measured.get(name)
        if name in _TIMES | _RATES and isinstance(measured, int | float):
            unit_s = measured / metric.interval.p50 if name in _TIMES else metric.interval.p50 / measured
            variant = "default" if job.variant is None else job.variant.id
            return ScienceRun(
                id=line.id or "",
                source=source,
                application=application.id,
                template=application.template,
                variant=variant,
                base=job.curve_variant,
                gpu=evaluated.rerun.deployment.gpu,
                gpus=evaluated.rerun.deployment.gpus,
                size=job.size.typical,
                unit_s=unit_s,
                padded=not getattr(workload, "packed", True),
                timestep_fs=workload.timestep_fs if isinstance(workload, MdWorkload) else None,
                line=line,
                group=group,
            )
    return None


def fitted_calibration(
    calibration: Calibration, *, padding: float, padding_ln_arm: float, other_settings: float
) -> Calibration:
    """The calibration in which padded sequences take so many times as long, and other settings miss by such an arm."""
    made = (
        (PADDING, ANY_SCOPE, padding),
        (PADDING_LN_ARM, ANY_SCOPE, padding_ln_arm),
        (OTHER_SETTINGS, str(Template.MD), other_settings),
    )
    entries = {
        (name, scope): Coefficient(name=name, scope=scope, value=value, source="") for name, scope, value in made
    }
    return replace(calibration, coefficients={**calibration.coefficients, **entries})


def _probe(catalog: Catalog) -> Catalog:
    """The catalog in which every unit takes one second on every GPU, alone or together, padded or not."""
    lossless = {
        name: replace(
            application,
            curves=tuple(_units(application, gpu.id) for gpu in catalog.hardware.gpus),
            variants=tuple(
                replace(v, time_factor=1.0, kernels=(), least_bytes=None)
                if application.template is not Template.LATTICE
                else replace(v, least_bytes=None)
                for v in application.variants
            ),
            transfers=(),
            spill=None if application.spill is None else _without_spill(application.spill),
        )
        for name, application in catalog.applications.items()
    }
    spread = {
        name: replace(one, curves=tuple(replace(c, variant=v) for c in one.curves for v in _variants(one)))
        for name, one in lossless.items()
    }
    calibration = fitted_calibration(catalog.calibration, padding=1.0, padding_ln_arm=0.0, other_settings=0.0)
    return replace(catalog, applications=spread, calibration=calibration)


def _variants(application: Application) -> Iterator[str]:
    yield from {"default": None, **{v.id: None for v in application.variants}}


def _without_spill(law: SpillLaw) -> SpillLaw:
    """Runs still, and costs nothing."""
    return replace(law, s_gb=0.0)


def _units(application: Application, gpu: str) -> Curve:
    return Curve(
        gpu=gpu,
        variant="default",
        coefficients_s=(1.0,),
        size_low=1.0,
        size_high=1.0,
        q10=0.0,
        q50=0.0,
        q90=0.0,
        runs=1,
        measured=True,
        evidence=(),
        basis="estimated",
        source=application.id,
        date="",
    )


def predictions(
    catalog: Catalog, applications: Mapping[str, Application], runs: list[ScienceRun]
) -> list[tuple[ScienceRun, Interval, float]]:
    """What the engine says of every run with these applications, and what was measured, by the run's first metric."""
    tried = replace(catalog, applications={**catalog.applications, **applications})
    found = []
    for run in runs:
        try:
            metrics = science_metrics(run.line, evaluate_science(tried, run.line))
        except PlannerError:
            continue
        for name, measured in run.line.measured.items():
            if name in metrics and isinstance(measured, int | float):
                found.append((run, metrics[name].interval, float(measured)))
    return found
