"""A scientific job, as published -> the template's workload, and the metric of the closed list that it was timed by."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace

from service.catalog.catalog import Catalog
from service.catalog.resolve import resolve_deployment, resolve_workload
from service.errors import FieldError, UnsupportedWorkloadError
from service.planning.rerun.legal import evaluate
from service.planning.rerun.run import Default, Evaluated, Rerun, times
from service.schemas.measured import MeasuredScience, PublishedJob
from service.sizing.interval import Metric
from service.sizing.precision import Precision
from service.sizing.science.application import Application, Template
from service.sizing.science.workload import (
    FoldingWorkload,
    GenomicsWorkload,
    LatticeWorkload,
    MdWorkload,
    RecipeTrainingWorkload,
    RooflineWorkload,
    ScienceWorkload,
    SequenceTrainingWorkload,
    SizeDistribution,
    WeatherWorkload,
)
from service.sizing.units import MINUTE_S
from service.sizing.workload import Deployment

# A rate does not depend on how long one looks: jobs long enough to be in their steady state.
_STEPS, _CELLS_GPU, _STEP_FLOP, _TOKENS = 10_000.0, 100_000_000.0, 1e15, 1e12
_OWN_NAMES = {"ns_day": "ns_day_replica", "gpu_seconds_target": "gpu_seconds_item"}
_METRICS = ("elapsed_s", "mlups", "tflops", "tokens_s_gpu", "steps_s", "model_tflops_gpu", "max_tokens")
# The longest name first: MXFP8 holds FP8, TF32 is not FP32.
_FORMATS = ("fp64", "tf32", "fp32", "bf16", "fp16", "fp8", "fp4", "int8")
# Sequences in rows of one length (BSHD, plain FlashAttention-2 recipes) carry padding; THD ones are packed.
_PADDED = re.compile(r"\bBSHD\b|\bFA2\b")
_FEMTOSECONDS = re.compile(r"(\d+(?:\.\d+)?)\s*fs\b")
# Hydrogens are made heavier for nothing but steps of 4 fs; others take 2 fs. No integrator takes more than the longest.
_HEAVY = re.compile(r"\bHMR\b|hydrogen mass", re.IGNORECASE)
_HEAVY_STEP_FS, _STEP_FS, _LONGEST_STEP_FS = 4.0, 2.0, 10.0
_Built = tuple[ScienceWorkload, tuple[Default, ...]]


def evaluate_science(catalog: Catalog, run: MeasuredScience) -> Evaluated:
    """The engine's answer for a scientific job; not published: the template's own defaults, on one GPU.

    Raises PlannerError for an application or a GPU that the catalog does not have, or of which no rate is known.
    """
    application = _application(catalog, run.workload.application or "")
    build = _BUILDERS.get(application.template)
    if build is None:
        raise _unsupported(application, "its runs are timed by the customer's own rate")
    gpus = run.deployment.gpus or 1
    built, defaults = build(run.workload, application, gpus)
    workload = replace(built, settings=run.workload.settings)
    asked = Deployment(gpu=run.deployment.gpu or "", gpus=gpus, replicas=None if gpus == 1 else 1)
    rerun = Rerun(
        workload=workload,
        deployment=resolve_deployment(catalog, asked),
        application=application,
        defaults=defaults,
    )
    if run.deployment.gpus is None:
        rerun = rerun.with_default("deployment.gpus", 1)
    return evaluate(catalog, rerun)


def science_metrics(run: MeasuredScience, evaluated: Evaluated) -> Mapping[str, Metric]:
    """Those metrics of the closed list that the engine answers for this job."""
    found, application = evaluated.metrics, evaluated.rerun.application
    assert application is not None
    named = {name: found[name] for name in _METRICS if name in found}
    named |= {name: found[own] for name, own in _OWN_NAMES.items() if own in found}
    if application.template is Template.RECIPE_TRAINING:
        named["time_to_train_min"] = times(found["elapsed_s"], 1.0 / MINUTE_S)
    # Some tables time the whole job, what the host does beside the GPU included.
    if "wall_s" in found and re.search(r"\bwall\b", run.workload.settings or ""):
        named["elapsed_s"] = found["wall_s"]
    # A target of AlphaFold 2 is five models; some tables time one.
    models = 1 if application.folding is None else application.folding.models_target
    if models > 1 and re.search(r"\bone model\b", run.workload.settings or ""):
        named |= {name: times(named[name], 1.0 / models) for name in ("elapsed_s", "gpu_seconds_target")}
    return named


def _application(catalog: Catalog, name: str) -> Application:
    asked = MdWorkload(application=name, atoms=1.0)
    _, _, application = resolve_workload(catalog, asked)
    assert application is not None
    return application


def _folding(job: PublishedJob, application: Application, gpus: int) -> _Built:
    del gpus
    size, defaults = _size(job, ("tokens", "residues"), otherwise=1024.0)
    facts = application.folding
    return FoldingWorkload(
        application=application.id,
        tokens=SizeDistribution(mean=size),
        seeds=_stated(job, r"(\d+) seeds?\b", otherwise=1),
        samples=_stated(
            job, r"(\d+) (?:diffusion )?samples?\b", otherwise=5 if facts is None else facts.published_samples
        ),
        recycles=_stated(job, r"(\d+) recycles\b", otherwise=10 if facts is None else facts.published_recycles),
    ), defaults


def _stated(job: PublishedJob, pattern: str, *, otherwise: int) -> int:
    """A count that the settings name, within what a workload may ask."""
    found = re.search(pattern, job.settings or "")
    return min(1000, max(1, int(found[1]))) if found else otherwise


def _md(job: PublishedJob, application: Application, gpus: int) -> _Built:
    del gpus
    atoms, defaults = _size(job, ("atoms",), otherwise=100_000.0)
    step, more = _step(job)
    method, told = _variant(application, re.split(r"[\s_/-]+", (job.model or "").lower()))
    return MdWorkload(application=application.id, atoms=atoms, timestep_fs=step, method=method), (
        *defaults,
        *more,
        *told,
    )


def _step(job: PublishedJob) -> tuple[float, tuple[Default, ...]]:
    """Integration step [fs]: the field, else the outermost that the settings name, else what goes with the masses."""
    settings = job.settings or ""
    named = [float(found) for found in _FEMTOSECONDS.findall(settings) if 0.0 < float(found) <= _LONGEST_STEP_FS]
    if named and "timestep_fs" not in job.sizes:
        return max(named), ()
    otherwise = _HEAVY_STEP_FS if _HEAVY.search(settings) else _STEP_FS
    return _size(job, ("timestep_fs",), otherwise=otherwise)


def _genomics(job: PublishedJob, application: Application, gpus: int) -> _Built:
    del gpus
    coverage, defaults = _size(job, ("coverage",), otherwise=30.0)
    pipeline, told = _variant(application, (job.model or "").lower().split())
    return GenomicsWorkload(application=application.id, coverage=coverage, pipeline=pipeline), (*defaults, *told)


def _weather(job: PublishedJob, application: Application, gpus: int) -> _Built:
    del gpus
    steps, defaults = _size(job, ("diffusion_steps", "steps"), otherwise=18.0)
    releases = [variant.id for variant in application.variants]
    release = job.version if job.version in releases else None
    taken = application.variant(None)
    told = () if release or taken is None else (Default(field="workload.release", value=taken.id, widens=False),)
    return WeatherWorkload(application=application.id, steps=steps, release=release), (*defaults, *told)


def _roofline(job: PublishedJob, application: Application, gpus: int) -> _Built:
    precision = _precision(job)
    taken = precision or Precision.FP64
    workload = RooflineWorkload(
        application=application.id,
        precision=taken,
        step_flop=_STEP_FLOP * gpus,
        step_bytes=0.0,
        resident_gb=1.0,
        steps=1.0,
    )
    return workload, () if precision else (Default(field="workload.precision", value=taken),)


def _lattice(job: PublishedJob, application: Application, gpus: int) -> _Built:
    # "FP32/FP16S": arithmetic, then what the distributions are stored in.
    method, told = _variant(application, (job.precision or "").lower().split("/")[-1:])
    size = job.sizes.get("cells", _CELLS_GPU * gpus)
    return LatticeWorkload(application=application.id, cells=size, steps=_STEPS, method=method), told


def _sequence(job: PublishedJob, application: Application, gpus: int) -> _Built:
    del gpus
    parameters, defaults = _size(job, ("parameters",), otherwise=3e9)
    precision = _precision(job)
    taken = precision or Precision.BF16
    told = () if precision else (Default(field="workload.precision", value=taken),)
    return SequenceTrainingWorkload(
        application=application.id,
        parameters=parameters,
        tokens=_TOKENS,
        precision=taken,
        packed=not _PADDED.search(job.settings or ""),
    ), (*defaults, *told)


def _recipe(job: PublishedJob, application: Application, gpus: int) -> _Built:
    del job, gpus
    return RecipeTrainingWorkload(application=application.id), ()


_BUILDERS: dict[Template, Callable[[PublishedJob, Application, int], _Built]] = {
    Template.FOLDING: _folding,
    Template.MD: _md,
    Template.GENOMICS: _genomics,
    Template.WEATHER: _weather,
    Template.ROOFLINE: _roofline,
    Template.LATTICE: _lattice,
    Template.SEQUENCE_TRAINING: _sequence,
    Template.RECIPE_TRAINING: _recipe,
}


def _size(job: PublishedJob, names: tuple[str, ...], *, otherwise: float) -> tuple[float, tuple[Default, ...]]:
    for name in names:
        if name in job.sizes:
            return job.sizes[name], ()
    return otherwise, (Default(field=f"workload.{names[0]}", value=f"{otherwise:g}"),)


def _variant(application: Application, words: list[str]) -> tuple[str | None, tuple[Default, ...]]:
    """The variant whose id a published name holds as a word, or begins a word with (amoebadhfr)."""
    known = [variant.id for variant in application.variants]
    for word in words:
        for variant in known:
            if word == variant or (len(variant) > len("pme") and word.startswith(variant)):
                return variant, ()
    taken = application.variant(None)
    return None, () if taken is None else (Default(field="workload.method", value=taken.id, widens=False),)


def _precision(job: PublishedJob) -> Precision | None:
    text = (job.precision or "").lower()
    return next((Precision(name) for name in _FORMATS if name in text), None)


def _unsupported(application: Application, why: str) -> UnsupportedWorkloadError:
    message = f"{application.name} is not predicted from published runs: {why}"
    return UnsupportedWorkloadError(message, errors=(FieldError(field="workload.application", message=message),))
