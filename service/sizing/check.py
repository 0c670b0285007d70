"""check: what the engine cannot mean is refused when a question arrives, not when a worker gets to it."""

from service.sizing.architecture import ModelArchitecture
from service.sizing.calibration import Calibration
from service.sizing.inference.context import check_context
from service.sizing.science.application import Application
from service.sizing.science.describe import describe
from service.sizing.training.choices import searched_layouts
from service.sizing.training.context import check_sequence
from service.sizing.training.job import job_of
from service.sizing.workload import InferenceWorkload, TrainingWorkload, Workload


def check(
    workload: Workload,
    *,
    architecture: ModelArchitecture | None,
    application: Application | None,
    calibration: Calibration,
) -> None:
    """Raises what `size` would raise for this workload, without searching.

    A context longer than the model's, a batch that no layout divides, a method that an application does not have.
    """
    if isinstance(workload, InferenceWorkload) and architecture is not None:
        check_context(workload, architecture)
    elif isinstance(workload, TrainingWorkload) and architecture is not None:
        check_sequence(workload, architecture)
        job = job_of(workload, architecture, calibration)
        searched_layouts(job, gpus=workload.target.gpus, most_gpus=int(calibration.assumption("fleet.max_gpus")))
    elif application is not None and not isinstance(workload, InferenceWorkload | TrainingWorkload):
        describe(workload, application, calibration)
