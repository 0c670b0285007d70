"""A fixed deployment is evaluated at once, inside the request."""

import dataclasses
import time

from service.catalog.resolve import resolve_deployment, resolve_workload
from service.catalog.together import both
from service.errors import FieldError, InvalidRequestError
from service.metrics import Engine
from service.runtime import Runtime
from service.sizing import estimate as engine
from service.sizing.inference.context import check_context
from service.sizing.result import Estimate
from service.sizing.training.context import check_sequence
from service.sizing.workload import (
    Constraints,
    Deployment,
    InferenceWorkload,
    Pool,
    Serving,
    TrainingWorkload,
    Workload,
)


def estimate(runtime: Runtime, workload: Workload, deployment: Deployment) -> Estimate:
    """What the workload does on the deployment; errors name the field of the request."""
    catalog = runtime.catalog
    (resolved, architecture, application), fixed = both(
        lambda: resolve_workload(catalog, workload), lambda: resolve_deployment(catalog, deployment)
    )
    if isinstance(resolved, InferenceWorkload) and architecture is not None:
        check_context(resolved, architecture)
    if isinstance(resolved, TrainingWorkload) and architecture is not None:
        check_sequence(resolved, architecture)
    kind, began_s = resolved.kind.value, time.perf_counter()
    with runtime.tracing.span("estimate", kind=kind):
        found = engine.estimate(
            resolved,
            _apart(fixed),
            hardware=catalog.hardware,
            architecture=architecture,
            application=application,
            calibration=catalog.calibration,
            constraints=Constraints(),
        )
    runtime.metrics.engine_called(Engine.ESTIMATE, kind, seconds=time.perf_counter() - began_s)
    if found.mode == Serving.DISAGGREGATED and found.decode is None:
        raise _one_instance(found)
    return found


def _apart(deployment: Deployment) -> Deployment:
    """A disaggregated deployment as two pools: of the degrees that it states, else of those that the engine chooses.

    A pipeline or copies that are stated stay what they are: pools have neither.
    """
    together = (deployment.pp or 1) > 1 or deployment.dp is not None or deployment.replicas is not None
    stated = deployment.prefill is not None or deployment.decode is not None
    if deployment.mode is not Serving.DISAGGREGATED or together or stated:
        return deployment
    pool = Pool(tp=deployment.tp, ep=deployment.ep, attention_dp=deployment.attention_dp)
    return dataclasses.replace(deployment, prefill=pool, decode=pool)


def _one_instance(found: Estimate) -> InvalidRequestError:
    """The error for GPUs that hold the model once: two pools would each need to hold it."""
    layout = found.layout
    instance = layout.tp * layout.pp * layout.attention_dp
    message = f"is too few for two pools: each holds the model, which takes {instance} GPUs here"
    error = FieldError(field="deployment.gpus", message=message, value=str(found.gpus), limit=str(2 * instance))
    return InvalidRequestError(f"deployment.gpus {message}", errors=(error,))
