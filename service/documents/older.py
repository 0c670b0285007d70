"""Snapshots of older versions, which are never rewritten: what they lack is read from what they say elsewhere."""

from collections.abc import Mapping
from typing import Any


def as_today(quote: Mapping[str, Any]) -> Mapping[str, Any]:
    """The snapshot with every member that documents read today."""
    option = quote["option"]
    sized = {name: option[name] for name in ("servers", "spare_servers", "gpus")}
    offered_by = {"name": quote["seller"], "contact": None, "reference": None}
    return {"sized": sized, "offered_by": offered_by, **quote}
