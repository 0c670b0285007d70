"""PriceBook: what a part costs, at a date, from a source; Decimal only, None where nobody published a price."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum


class PartKind(StrEnum):
    """What a price is for."""

    SERVER = "server"
    SWITCH = "switch"
    OPTIC = "optic"
    CABLE = "cable"
    RACK = "rack"
    POWER = "power"
    COOLING = "cooling"
    STORAGE = "storage"
    SOFTWARE = "software"
    SUPPORT = "support"
    SERVICE = "service"


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceLine:
    """The list price of one part per `unit`, with the range of its sources."""

    part: str
    kind: PartKind
    unit: str
    list_price_usd: Decimal | None
    low_usd: Decimal | None
    high_usd: Decimal | None
    basis: str
    sources: tuple[str, ...]
    confidence: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceBook:
    """A dated set of prices. `indicative` books give orders of magnitude and never price a quote."""

    name: str
    date: str
    currency: str
    indicative: bool
    digest: str
    lines: Mapping[str, PriceLine]
    sources: Mapping[str, str]

    def line(self, part: str) -> PriceLine | None:
        """The line of a part; None when the book does not know it."""
        return self.lines.get(part)
