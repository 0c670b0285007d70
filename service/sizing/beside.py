"""Servers without GPUs that work takes beside those that are sized: how many, and of which kind."""

from dataclasses import dataclass

from service.sizing.hardware import ServerSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """So many servers without GPUs."""

    server: ServerSpec
    servers: int
