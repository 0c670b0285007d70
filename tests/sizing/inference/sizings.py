"""A sizing of inference as tests ask for it: the limits of the site by name, all else as given."""

from service.catalog.catalog import Catalog
from service.sizing.calibration import Calibration
from service.sizing.hardware import Hardware
from service.sizing.result import SizingResult
from service.sizing.size import size
from service.sizing.table import FloatArray
from service.sizing.workload import InferenceWorkload
from tests.build import inference_workload, question


def sized(
    catalog: Catalog,
    weight: FloatArray,
    workload: InferenceWorkload | None = None,
    *,
    hardware: Hardware | None = None,
    calibration: Calibration | None = None,
    **limits: object,
) -> SizingResult:
    """The options of the workload, or of a plain one, on the catalog's hardware unless other is given."""
    workload = workload or inference_workload()
    return size(
        question(workload, **limits),
        hardware=hardware or catalog.hardware,
        architecture=catalog.models[str(workload.model)].architecture,
        application=None,
        calibration=calibration or catalog.calibration,
        weight=weight,
    )
