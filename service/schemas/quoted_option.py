"""An option as it is kept in an answer, read back for a quote: without its cost, and without its working."""

from collections.abc import Mapping
from typing import Any

from marshmallow import post_load

from service.schemas.result import OptionSchema
from service.sizing.result import SizingOption

_COST = "cost"


class _WithoutWorking(OptionSchema):
    """The working has an address of its own."""

    @post_load
    def _make(self, data: dict[str, Any], **_: Any) -> SizingOption:
        return SizingOption(**data, working=())


_OPTION = _WithoutWorking()


def quoted_option(kept: Mapping[str, Any]) -> SizingOption:
    """The option that an answer holds."""
    option: SizingOption = _OPTION.load({name: value for name, value in kept.items() if name != _COST})
    return option
