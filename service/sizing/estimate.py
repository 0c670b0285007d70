"""estimate: one fixed deployment, evaluated by the physics that size searches."""

from dataclasses import replace

from service.errors import InvalidRequestError
from service.sizing.architecture import ModelArchitecture
from service.sizing.beside import Beside
from service.sizing.calibration import Calibration
from service.sizing.hardware import Hardware
from service.sizing.inference.evaluate import estimate_inference
from service.sizing.infrastructure import infrastructure
from service.sizing.place import placed_server
from service.sizing.result import Estimate
from service.sizing.round_result import rounded
from service.sizing.science.application import Application
from service.sizing.science.evaluate import estimate_science
from service.sizing.science.host import CPU_SERVERS
from service.sizing.training.evaluate import estimate_training
from service.sizing.workload import Constraints, Deployment, InferenceWorkload, Serving, TrainingWorkload, Workload


def estimate(
    workload: Workload,
    deployment: Deployment,
    *,
    hardware: Hardware,
    architecture: ModelArchitecture | None,
    application: Application | None,
    calibration: Calibration,
    constraints: Constraints | None = None,
) -> Estimate:
    """Metrics with intervals, memory by part and the bottleneck of a fixed deployment; pure and deterministic.

    With `constraints`, which describe the site, also the networks, racks and power of its servers.
    """
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
    if constraints is not None:
        found = _built(found, deployment, hardware=hardware, calibration=calibration, constraints=constraints)
    return rounded(found)


def _built(
    found: Estimate,
    deployment: Deployment,
    *,
    hardware: Hardware,
    calibration: Calibration,
    constraints: Constraints,
) -> Estimate:
    """With what stands around the GPUs; as it is where no system of the catalog carries them."""
    server, gpu, _ = placed_server(deployment, hardware)
    if found.storage is None or server not in hardware.servers:
        return found
    servers = -(-found.gpus // server.gpus)
    beside = int(next((one.value or 0.0 for one in found.requirements if one.name == CPU_SERVERS), 0.0))
    around = infrastructure(
        server,
        gpu,
        servers=servers,
        east_west=_talks(found, server.gpus),
        storage=found.storage,
        hardware=hardware,
        constraints=constraints,
        calibration=calibration,
        beside=Beside(server=hardware.cpu_servers[0].placed(), servers=beside) if beside else None,
    )
    return replace(
        found,
        servers=servers,
        network=around.network,
        storage=around.storage,
        facility=around.facility,
        working=(*found.working, *around.working),
    )


def _talks(found: Estimate, gpus_server: int) -> bool:
    """Whether GPUs of different servers talk to each other: parts of one job, or pools that hand work on."""
    apart = found.prefill is not None
    return apart or found.gpus // max(1, found.replicas) > gpus_server


def _as_served(workload: InferenceWorkload, deployment: Deployment) -> Deployment:
    """The deployment in the mode that the workload asks for, where it says none itself."""
    return replace(deployment, mode=workload.serving) if deployment.mode is Serving.AUTO else deployment
