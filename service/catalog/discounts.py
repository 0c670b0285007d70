"""config/discounts.yaml -> DiscountTiers: each tier at least as wide as the one before, the last one open."""

from itertools import pairwise
from pathlib import Path

from service.catalog.files import wrong
from service.catalog.rule_files import RuleFile
from service.quoting.approval import DiscountTier, DiscountTiers
from service.quoting.currency import MINOR_DIGITS


def load_discounts(config_dir: Path) -> DiscountTiers:
    """The tiers. Raises FactsError naming file, record and field."""
    file = RuleFile(config_dir / "discounts.yaml", keys=("tiers",))
    tiers: tuple[DiscountTier, ...] = file.each("tiers", DiscountTier, unique="id")
    for tier in tiers:
        _check(file, tier)
    for narrow, wide in pairwise(tiers):
        for field in ("total_up_to_fraction", "line_up_to_fraction"):
            if getattr(wide, field) < getattr(narrow, field):
                raise wrong(file.path, wide.id, field, f"Must not be below that of {narrow.id}, the tier before it.")
    last = tiers[-1]
    if last.total_up_to_fraction != 1 or last.line_up_to_fraction != 1 or last.amounts_up_to:
        raise wrong(file.path, last.id, "total_up_to_fraction", "The last tier must hold every discount and amount.")
    return DiscountTiers(date=file.date, digest=file.digest, tiers=tiers)


def _check(file: RuleFile, tier: DiscountTier) -> None:
    for field in ("total_up_to_fraction", "line_up_to_fraction"):
        if not 0 <= getattr(tier, field) <= 1:
            raise wrong(file.path, tier.id, field, "Must lie between 0 and 1.")
    if not tier.approvers:
        raise wrong(file.path, tier.id, "approvers", "Name at least one role that may approve.")
    for currency, amount in tier.amounts_up_to:
        if currency not in MINOR_DIGITS or amount <= 0:
            raise wrong(file.path, tier.id, "amounts_up_to", f"'{currency}' must be of ISO 4217, its amount above 0.")
