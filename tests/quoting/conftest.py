"""The product's own facts and price book."""

import pytest

from config.environment import ROOT
from service.catalog.load import load_catalog
from service.catalog.prices import load_price_book


@pytest.fixture(scope="session")
def catalog():
    return load_catalog(ROOT / "config")


@pytest.fixture(scope="session")
def book():
    return load_price_book(ROOT / "config")
