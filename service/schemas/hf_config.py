"""Hugging Face config.json -> the architecture record of ArchitectureSchema."""

from collections.abc import Mapping
from typing import Any


def describe(config: Mapping[str, Any]) -> dict[str, Any]:
    """The record of one config."""
    return dict(config)
