"""A fixed deployment is evaluated at once, inside the request."""

from service.catalog.resolve import resolve_deployment, resolve_workload
from service.catalog.together import both
from service.runtime import Runtime
from service.sizing import estimate as engine
from service.sizing.inference.context import check_context
from service.sizing.result import Estimate
from service.sizing.workload import Deployment, InferenceWorkload, Workload


def estimate(runtime: Runtime, workload: Workload, deployment: Deployment) -> Estimate:
    """What the workload does on the deployment; errors name the field of the request."""
    catalog = runtime.catalog
    (resolved, architecture, application), fixed = both(
        lambda: resolve_workload(catalog, workload), lambda: resolve_deployment(catalog, deployment)
    )
    if isinstance(resolved, InferenceWorkload) and architecture is not None:
        check_context(resolved, architecture)
    return engine.estimate(
        resolved,
        fixed,
        hardware=catalog.hardware,
        architecture=architecture,
        application=application,
        calibration=catalog.calibration,
    )
