"""A scientific application of the catalog: its template, unit of work and measured coefficients."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """What config/science/*.yaml states about one application."""

    id: str
    name: str
    template: str
    unit_of_work: str
