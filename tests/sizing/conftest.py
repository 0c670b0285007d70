"""The catalog, read once: the engine's tests run on the product's own facts."""

import numpy as np
import pytest

from service.catalog.catalog import Catalog
from service.sizing.table import FloatArray
from tests.facts import own_catalog


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    """Everything under config/."""
    return own_catalog()


@pytest.fixture(scope="session")
def weight(catalog: Catalog) -> FloatArray:
    """A weight per server for ranking: its GPUs' power, so that no price is needed."""
    tdp = {g.id: g.tdp_w or 100.0 for g in catalog.hardware.gpus}
    return np.array([tdp[s.gpu] * s.gpus for s in catalog.hardware.servers])
