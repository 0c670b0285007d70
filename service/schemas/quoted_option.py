"""An option as it is kept in an answer, read back for a quote: without its cost, and without its working."""

from collections.abc import Mapping
from typing import Any

from service.schemas.result import PricedOptionSchema
from service.sizing.result import SizingOption

_OPTION = PricedOptionSchema()


def quoted_option(kept: Mapping[str, Any]) -> SizingOption:
    """The option that an answer holds; its indicative cost is not even read."""
    option: SizingOption
    option, _ = _OPTION.load({**kept, "cost": None})
    return option
