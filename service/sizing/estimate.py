"""estimate: one fixed deployment, evaluated by the physics that size searches."""

from dataclasses import replace

from service.errors import InvalidRequestError
from service.sizing.architecture import ModelArchitecture
from service.sizing.calibration import Calibration
from service.sizing.hardware import Hardware
from service.sizing.inference.evaluate import estimate_inference
from service.sizing.result import Estimate
from service.sizing.round_result import rounded
from service.sizing.science.application import Application
from service.sizing.science.evaluate import estimate_science
from service.sizing.training.evaluate import estimate_training
from service.sizing.workload import Deployment, InferenceWorkload, Serving, TrainingWorkload, Workload


def estimate(
    workload: Workload,
    deployment: Deployment,
    *,
    hardware: Hardware,
    architecture: ModelArchitecture | None,
    application: Application | None,
    calibration: Calibration,
) -> Estimate:
    """Metrics with intervals, memory by part and the bottleneck of a fixed deployment; pure and deterministic."""
    if isinstance(workload, InferenceWorkload | TrainingWorkload):
        if architecture is None:
            raise InvalidRequestError("a model workload needs its architecture")
        if isinstance(workload, InferenceWorkload):
            found = estimate_inference(
                workload,
                _as_served(workload, deployment),
                hardware=hardware,
                architecture=architecture,
                calibration=calibration,
            )
        else:
            found = estimate_training(
                workload, deployment, hardware=hardware, architecture=architecture, calibration=calibration
            )
    else:
        if application is None:
            raise InvalidRequestError("a scientific workload needs its application")
        found = estimate_science(
            workload, deployment, hardware=hardware, application=application, calibration=calibration
        )
    return rounded(found)


def _as_served(workload: InferenceWorkload, deployment: Deployment) -> Deployment:
    """The deployment in the mode that the workload asks for, where it says none itself."""
    return replace(deployment, mode=workload.serving) if deployment.mode is Serving.AUTO else deployment
