"""From a workload of any template to its Job and the curves that it is timed by."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from service.errors import UnsupportedWorkloadError
from service.sizing.calibration import Calibration
from service.sizing.result import Assumed
from service.sizing.science.application import Application, Template
from service.sizing.science.coupled import lattice_job, recipe_job, roofline_job, sequence_job
from service.sizing.science.folding import folding_job
from service.sizing.science.job import Job
from service.sizing.science.streams import (
    design_curve,
    design_job,
    docking_curve,
    docking_job,
    genomics_job,
    md_job,
    unnamed_gpu,
    weather_job,
)
from service.sizing.science.workload import (
    DesignWorkload,
    DockingWorkload,
    FoldingWorkload,
    GenomicsWorkload,
    LatticeWorkload,
    MdWorkload,
    RecipeTrainingWorkload,
    RooflineWorkload,
    ScienceWorkload,
    SequenceTrainingWorkload,
    WeatherWorkload,
)
from service.sizing.spoken import spoken

TEMPLATE_OF: dict[type[ScienceWorkload], Template] = {
    FoldingWorkload: Template.FOLDING,
    MdWorkload: Template.MD,
    GenomicsWorkload: Template.GENOMICS,
    WeatherWorkload: Template.WEATHER,
    DockingWorkload: Template.DOCKING,
    DesignWorkload: Template.DESIGN,
    RooflineWorkload: Template.ROOFLINE,
    LatticeWorkload: Template.LATTICE,
    SequenceTrainingWorkload: Template.SEQUENCE_TRAINING,
    RecipeTrainingWorkload: Template.RECIPE_TRAINING,
}


_Build = Callable[[Any, Application, Calibration], Job]

_BUILDERS: dict[Template, _Build] = {
    Template.FOLDING: folding_job,
    Template.MD: md_job,
    Template.GENOMICS: genomics_job,
    Template.WEATHER: weather_job,
    Template.DOCKING: docking_job,
    Template.DESIGN: design_job,
    Template.ROOFLINE: roofline_job,
    Template.LATTICE: lattice_job,
    Template.SEQUENCE_TRAINING: sequence_job,
    Template.RECIPE_TRAINING: recipe_job,
}


def describe(workload: ScienceWorkload, application: Application, calibration: Calibration) -> Job:
    """The job of a workload. Raises UnsupportedWorkloadError when application and workload do not belong together."""
    if TEMPLATE_OF.get(type(workload)) is not application.template:
        raise UnsupportedWorkloadError(
            f"{application.id} is sized by the template {application.template}, not by {type(workload).__name__}"
        )
    job = _BUILDERS[application.template](workload, _timed(workload, application, calibration), calibration)
    return job if workload.settings is None else replace(job, settings=workload.settings)


_RESTS_ON: dict[Template, tuple[str, ...]] = {
    Template.FOLDING: ("science.diffusion_share_fraction",),
    Template.ROOFLINE: (
        "science.flop_efficiency_fraction",
        "science.bandwidth_efficiency_fraction",
        "science.link_efficiency_fraction",
        "science.memory_usable_fraction",
    ),
    Template.LATTICE: ("science.memory_usable_fraction",),
}


def rests_on(template: Template) -> tuple[str, ...]:
    """Ids of the judgements that a template's physics reads, beside the utilisation."""
    return _RESTS_ON.get(template, ())


def assumed(job: Job, calibration: Calibration) -> tuple[Assumed, ...]:
    """Defaults that the workload left open, then the judgements that the answer rests on."""
    names = ("science.utilisation_fraction", *rests_on(job.template))
    entries = [calibration.assumptions[name] for name in names]
    return (
        *job.assumed,
        *(
            Assumed(
                field=e.id,
                value=f"{spoken(e.value)} ({spoken(e.low)}-{spoken(e.high)})",
                why="engine assumption",
                source=e.source,
            )
            for e in entries
        ),
    )


def _timed(workload: ScienceWorkload, application: Application, calibration: Calibration) -> Application:
    """The application with the customer's own rate in place of the catalog's, where the workload brings one."""
    own = None
    if isinstance(workload, DockingWorkload):
        own = docking_curve(workload, calibration)
    elif isinstance(workload, DesignWorkload):
        own = design_curve(workload, calibration)
    if own is None:
        return application
    # What the application says to do without a rate is no word to somebody who gave one.
    kept = application.notes if isinstance(workload, DesignWorkload) else ()
    return replace(application, curves=(own,), notes=(*kept, *unnamed_gpu(getattr(workload, "measured_gpu", None))))
