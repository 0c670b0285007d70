"""The product's own facts and price book."""

import pytest

from tests.facts import own_book, own_catalog


@pytest.fixture(scope="session")
def catalog():
    return own_catalog()


@pytest.fixture(scope="session")
def book():
    return own_book()
