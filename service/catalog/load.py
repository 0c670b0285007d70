"""Everything under config/ -> one frozen Catalog, read once at start."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from service.catalog.accuracy import NOT_READ, load_accuracy
from service.catalog.applications import load_applications
from service.catalog.bom_rules import load_bom_rules
from service.catalog.calibration import load_calibration
from service.catalog.catalog import Catalog, FactSheet
from service.catalog.discounts import load_discounts
from service.catalog.export_rules import load_export_rules
from service.catalog.hardware import load_hardware
from service.catalog.lead_times import load_lead_times
from service.catalog.made import Keeper
from service.catalog.models import load_not_sized, load_zoo
from service.catalog.tco_context import load_tco_context
from service.schemas.digest import sha256_digest
from service.schemas.fact import CATALOG_SOURCE

_OWN = "Headroom's own catalog: names, grouping, and what is offered"


def load_catalog(config_dir: Path, *, stored_predictions: bool = True) -> Catalog:
    """Reads, checks and freezes the facts. Raises FactsError naming file, record and field.

    `version` is the digest of what hardware, models and science files say: comments, the order of keys and spacing
    are nothing. Calibration and assumptions have a version of their own.
    """
    keeper = Keeper(config_dir)
    catalog = keeper.kept("catalog", partial(_without_predictions, config_dir))
    if not stored_predictions:
        return catalog
    return replace(catalog, accuracy=keeper.kept("accuracy", partial(load_accuracy, config_dir)))


def _without_predictions(config_dir: Path) -> Catalog:
    hardware = load_hardware(config_dir / "hardware")
    zoo = load_zoo(config_dir / "models")
    gpus = frozenset(gpu.id for gpu in hardware.hardware.gpus)
    science = load_applications(config_dir / "science", gpus=gpus, fitted=config_dir / "calibration" / "science.yaml")
    sheets: dict[str, Mapping[str, FactSheet]] = {**hardware.sheets, "models": zoo.sheets}
    return Catalog(
        version=sha256_digest({"hardware": hardware.parsed, "models": zoo.parsed, "science": science.parsed}),
        hardware=hardware.hardware,
        sheets=sheets,
        models=zoo.models,
        aliases=zoo.aliases,
        not_sized=load_not_sized(config_dir / "not_sized.yaml", zoo=zoo),
        applications=science.applications,
        calibration=load_calibration(config_dir),
        accuracy=NOT_READ,
        sources={CATALOG_SOURCE: _OWN, **hardware.sources, **zoo.sources, **science.sources},
        export_rules=load_export_rules(config_dir, gpus=gpus),
        bom_rules=load_bom_rules(config_dir, hardware=hardware.hardware, servers=hardware.sheets["servers"]),
        discount_tiers=load_discounts(config_dir),
        lead_times=load_lead_times(config_dir),
        tco_context=load_tco_context(config_dir),
    )
