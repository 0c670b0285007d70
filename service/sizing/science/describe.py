"""From a workload of any template to its Job and the curves that it is timed by."""

from dataclasses import replace

from service.errors import UnsupportedWorkloadError
from service.sizing.calibration import Calibration
from service.sizing.science.application import Application, Template
from service.sizing.science.coupled import lattice_job, roofline_job, sequence_job
from service.sizing.science.folding import folding_job
from service.sizing.science.job import Job
from service.sizing.science.streams import (
    design_curve,
    design_job,
    docking_curve,
    docking_job,
    genomics_job,
    md_job,
    weather_job,
)
from service.sizing.science.workload import (
    DesignWorkload,
    DockingWorkload,
    FoldingWorkload,
    GenomicsWorkload,
    LatticeWorkload,
    MdWorkload,
    RooflineWorkload,
    ScienceWorkload,
    SequenceTrainingWorkload,
    WeatherWorkload,
)

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
}


def describe(workload: ScienceWorkload, application: Application, calibration: Calibration) -> Job:
    """The job of a workload. Raises UnsupportedWorkloadError when application and workload do not belong together."""
    if TEMPLATE_OF.get(type(workload)) is not application.template:
        raise UnsupportedWorkloadError(
            f"{application.id} is sized by the template {application.template}, not by {type(workload).__name__}"
        )
    match workload:
        case FoldingWorkload():
            return folding_job(workload, application, calibration)
        case MdWorkload():
            return md_job(workload, application, calibration)
        case GenomicsWorkload():
            return genomics_job(workload, application, calibration)
        case WeatherWorkload():
            return weather_job(workload, application, calibration)
        case DockingWorkload():
            curve = docking_curve(workload, calibration)
            timed = application if curve is None else replace(application, curves=(curve,))
            return docking_job(workload, timed, calibration)
        case DesignWorkload():
            timed = replace(application, curves=(design_curve(workload, calibration),))
            return design_job(workload, timed, calibration)
        case RooflineWorkload():
            return roofline_job(workload, application, calibration)
        case LatticeWorkload():
            return lattice_job(workload, application, calibration)
        case SequenceTrainingWorkload():
            return sequence_job(workload, application, calibration)
        case _:
            raise UnsupportedWorkloadError(f"{type(workload).__name__} has no formulas")
