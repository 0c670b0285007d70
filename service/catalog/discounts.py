"""config/discounts.yaml -> DiscountTiers: each tier at least as wide as the one before, the last one open."""

from itertools import pairwise
from pathlib import Path

from service.catalog.files import wrong
from service.catalog.rule_files import RuleFile
from service.quoting.approval import DiscountTier, DiscountTiers, ExportReview
from service.quoting.currency import MINOR_DIGITS
from service.schemas.export_rules import SEVERITIES


def load_discounts(config_dir: Path) -> DiscountTiers:
    """The tiers. Raises FactsError naming file, record and field."""
    file = RuleFile(config_dir / "discounts.yaml", keys=("tiers", "export"))
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
    export = _review(file, tiers)
    return DiscountTiers(date=file.date, digest=file.digest, tiers=tiers, export=export)


def _review(file: RuleFile, tiers: tuple[DiscountTier, ...]) -> ExportReview:
    reviews: tuple[ExportReview, ...] = file.each("export", ExportReview)
    review = reviews[0]
    if len(reviews) > 1:
        raise wrong(file.path, "export.1", "tier", "One record says who looks at flags.")
    if review.tier not in {tier.id for tier in tiers}:
        raise wrong(file.path, "export.0", "tier", f"There is no tier '{review.tier}' in this file.")
    for severity in review.severities:
        if severity not in SEVERITIES:
            raise wrong(file.path, "export.0", "severities", f"'{severity}' is none of {', '.join(SEVERITIES)}.")
    return review


def _check(file: RuleFile, tier: DiscountTier) -> None:
    for field in ("total_up_to_fraction", "line_up_to_fraction"):
        if not 0 <= getattr(tier, field) <= 1:
            raise wrong(file.path, tier.id, field, "Must lie between 0 and 1.")
    if not tier.approvers:
        raise wrong(file.path, tier.id, "approvers", "Name at least one role that may approve.")
    for currency, amount in tier.amounts_up_to:
        if currency not in MINOR_DIGITS or amount <= 0:
            raise wrong(file.path, tier.id, "amounts_up_to", f"'{currency}' must be of ISO 4217, its amount above 0.")
