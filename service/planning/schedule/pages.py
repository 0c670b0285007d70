"""How many workloads a step of an occurrence takes, and an occurrence at most."""

from dataclasses import dataclass

from service.schemas.uploaded import MOST_ITEMS


@dataclass(frozen=True, slots=True, kw_only=True)
class Pages:
    """Small enough that a step is a second at most, where whole answers of runs are read for comparison too."""

    selected: int = 500
    compared: int = 200
    most_items: int = MOST_ITEMS


PAGES = Pages()
