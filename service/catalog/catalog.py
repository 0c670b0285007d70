"""Catalog: everything under config/, validated, frozen, with the digest of its files as version."""

from collections.abc import Mapping
from dataclasses import dataclass

from service.catalog.accuracy import PublishedAccuracy
from service.quoting.approval import DiscountTiers
from service.quoting.bom_rules import BomRules
from service.quoting.export_rules import ExportRules
from service.quoting.supply import LeadTimeNotes
from service.quoting.tco import CitedFigure
from service.schemas.fact import Fact, FactSheet
from service.sizing.architecture import ModelArchitecture
from service.sizing.calibration import Calibration
from service.sizing.hardware import Hardware
from service.sizing.science.application import Application

__all__ = ["Catalog", "Fact", "FactSheet", "ZooModel"]


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
    """Read once at start and never changed. Mappings are ordered by id.

    `version` covers hardware, models and applications; calibration, export rules and the rules of
    quotes carry digests of their own, for no sizing depends on them.
    """

    version: str
    hardware: Hardware
    sheets: Mapping[str, Mapping[str, FactSheet]]
    models: Mapping[str, ZooModel]
    aliases: Mapping[str, str]
    # Name -> kind of the models that are refused by what they are.
    not_sized: Mapping[str, str]
    applications: Mapping[str, Application]
    calibration: Calibration
    accuracy: PublishedAccuracy
    sources: Mapping[str, str]
    export_rules: ExportRules
    bom_rules: BomRules
    discount_tiers: DiscountTiers
    lead_times: LeadTimeNotes
    tco_context: tuple[CitedFigure, ...]
