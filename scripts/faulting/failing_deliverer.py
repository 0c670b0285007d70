"""The product's own deliverer, who finds names of the rig where the driver says."""

from scripts.faulting.names import resolve_as_told
from workers.app import app

__all__ = ["app"]

resolve_as_told()
