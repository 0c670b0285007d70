"""Which discount tier a quote falls into, and who must approve it."""

from dataclasses import dataclass
from decimal import Decimal

from service.access import Role
from service.quoting.currency import EXACT
from service.quoting.pricing import Priced, PricedLine
from service.quoting.screening import Screening

_MOST_RULES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscountTier:
    """Bounds of a tier, and its roles. Amounts are (currency, most); an empty list bounds no amount.

    `free_for` are roles whose quote needs no approval; `approvers` those that may give it, the least first.
    """

    id: str
    total_up_to_fraction: Decimal
    line_up_to_fraction: Decimal
    amounts_up_to: tuple[tuple[str, Decimal], ...]
    free_for: tuple[Role, ...]
    approvers: tuple[Role, ...]
    basis: str
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportReview:
    """Flags of the export screening that somebody else than the writer looks at: the approvers of `tier`, at the least.

    `unenforced` says whether flags of rules count that are on the books and announced not to be enforced.
    """

    tier: str
    severities: tuple[str, ...]
    unenforced: bool
    basis: str
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscountTiers:
    """The tiers, the most lenient last; the last one holds everything."""

    date: str
    digest: str
    tiers: tuple[DiscountTier, ...]
    export: ExportReview


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """The tier, the least role that must approve (None: nobody must), all roles that may, and why this tier."""

    tier: str
    needs: Role | None
    approvers: tuple[Role, ...]
    total_discount_fraction: Decimal
    line_discount_fraction: Decimal
    why: str


def approval(priced: Priced, tiers: DiscountTiers, role: Role, screening: Screening) -> Approval:
    """What a quote that a principal of `role` wrote needs; whoever approves must be another principal."""
    total, line = total_discount(priced), largest_line_discount(priced)
    reasons: list[str] = []
    for tier in tiers.tiers:
        broken = _broken(tier, priced, total=total, line=line)
        if not broken:
            break
        reasons = broken
    flagged = _flagged(screening, tiers.export)
    special = [*_special(priced), *flagged]
    approvers = _approvers(tier, tiers) if flagged else tier.approvers
    free = role in tier.free_for and not special
    return Approval(
        tier=tier.id,
        needs=None if free else approvers[0],
        approvers=approvers,
        total_discount_fraction=total,
        line_discount_fraction=line,
        why="; ".join([*reasons, *special]) or "within every bound of the first tier",
    )


def _special(priced: Priced) -> list[str]:
    """What somebody must look at in every tier, in words: no bound was made for it."""
    stated = [line.bom.id for line in priced.lines if line.bom.stated]
    found = [f"the seller has stated counts ({', '.join(stated)})"] if stated else []
    return found if priced.complete else [*found, "parts without a price are in no sum, so no bound can be judged"]


def _approvers(tier: DiscountTier, tiers: DiscountTiers) -> tuple[Role, ...]:
    """Those of the quote's own tier or of the tier that looks at flags, whichever comes later."""
    return next(each.approvers for each in reversed(tiers.tiers) if each.id in {tier.id, tiers.export.tier})


def _flagged(screening: Screening, review: ExportReview) -> list[str]:
    """The flags that somebody must look at, with their rules; what they come to is not said."""
    found: dict[str, list[str]] = {}
    for match in screening.matches:
        if match.severity in review.severities and (match.enforced or review.unenforced):
            found.setdefault(match.severity, []).append(match.rule)
    said = [f"{severity.replace('_', ' ')} ({_some(rules)})" for severity, rules in found.items()]
    return [f"export screening: {', '.join(said)}"] if said else []


def _some(rules: list[str]) -> str:
    """The first rules by their ids, and how many more there are."""
    named = list(dict.fromkeys(rules))
    more = len(named) - _MOST_RULES
    return ", ".join(named[:_MOST_RULES]) + (f" and {more} more" if more > 0 else "")


def total_discount(priced: Priced) -> Decimal:
    """1 - net / list of the priced lines, to six decimals; 0 where nothing has a price."""
    one_time, recurring = priced.totals.one_time, priced.totals.recurring
    listed = one_time.list_amount + recurring.list_amount
    given = one_time.discount_amount + recurring.discount_amount
    return _six(EXACT.divide(given, listed)) if listed else Decimal(0)


def largest_line_discount(priced: Priced) -> Decimal:
    """The largest discount of a line that costs something."""
    return max((line.discount_fraction for line in priced.lines if _costs(line)), default=Decimal(0))


def _costs(line: PricedLine) -> bool:
    return bool(line.extended_list)


def _broken(tier: DiscountTier, priced: Priced, *, total: Decimal, line: Decimal) -> list[str]:
    """Which bounds of the tier the quote does not keep, in words."""
    found: list[str] = []
    if total > tier.total_up_to_fraction:
        most = tier.total_up_to_fraction
        found.append(f"a discount of {_percent(total)} in all is above the {_percent(most)} of tier {tier.id}")
    if line > tier.line_up_to_fraction:
        most = tier.line_up_to_fraction
        found.append(f"a discount of {_percent(line)} on a line is above the {_percent(most)} of tier {tier.id}")
    amounts = dict(tier.amounts_up_to)
    if amounts:
        currency, net = priced.totals.currency, priced.totals.subtotal + priced.totals.charges_amount
        least = amounts.get(currency)
        if least is None:
            found.append(f"tier {tier.id} states no amount in {currency}")
        elif net > least:
            found.append(f"{net:,f} {currency} is above the {least:,f} of tier {tier.id}")
    return found


def _percent(share: Decimal) -> str:
    return f"{EXACT.multiply(share, Decimal(100)).normalize():f} %"


def _six(share: Decimal) -> Decimal:
    return share.quantize(Decimal("0.000001"), context=EXACT).normalize()
