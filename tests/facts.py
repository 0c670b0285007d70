"""The product's own facts, read once in a process, however many tests look at them: they are frozen."""

from functools import cache

from config.environment import ROOT
from service.catalog.catalog import Catalog
from service.catalog.load import load_catalog
from service.catalog.prices import load_price_book
from service.quoting.prices import PriceBook
from service.runtime import Facts


@cache
def own_catalog() -> Catalog:
    """Everything under config/ but the prices."""
    return load_catalog(ROOT / "config")


@cache
def own_book() -> PriceBook:
    """The price book."""
    return load_price_book(ROOT / "config")


def own_facts() -> Facts:
    """Both, as a runtime takes them."""
    return Facts(catalog=own_catalog(), price_book=own_book())
