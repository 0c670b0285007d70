"""Catalog: everything under config/, validated, frozen, with the digest of its files as version."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from service.sizing.architecture import ModelArchitecture
from service.sizing.calibration import Calibration
from service.sizing.hardware import Hardware
from service.sizing.science.application import Application


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One value as it stands in its file: how it is known, from where, since when."""

    field: str
    value: Any
    basis: str
    sources: tuple[str, ...]
    note: str | None
    date: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FactSheet:
    """The facts of one record, for `/v1/catalog` and for the working."""

    id: str
    name: str
    facts: tuple[Fact, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ZooModel:
    """A model of the zoo: its architecture, its other names, whether it can be sized."""

    architecture: ModelArchitecture
    family: str
    aliases: tuple[str, ...]
    usable: bool
    released: str | None
    published_params_b: float | None
    basis: str
    source: str
    notes: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """Read once at start and never changed. Mappings are ordered by id."""

    version: str
    hardware: Hardware
    sheets: Mapping[str, Mapping[str, FactSheet]]
    models: Mapping[str, ZooModel]
    aliases: Mapping[str, str]
    applications: Mapping[str, Application]
    calibration: Calibration
    sources: Mapping[str, str]
