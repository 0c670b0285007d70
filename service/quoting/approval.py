"""Which discount tier a quote falls into, and who must approve it."""

from dataclasses import dataclass
from decimal import Decimal

from service.access import Role
from service.quoting.currency import EXACT
from service.quoting.pricing import Priced, PricedLine


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
class DiscountTiers:
    """The tiers, the most lenient last; the last one holds everything."""

    date: str
    digest: str
    tiers: tuple[DiscountTier, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """The tier, the least role that must approve (None: nobody must), all roles that may, and why this tier."""

    tier: str
    needs: Role | None
    approvers: tuple[Role, ...]
    total_discount_fraction: Decimal
    line_discount_fraction: Decimal
    why: str


def approval(priced: Priced, tiers: DiscountTiers, role: Role) -> Approval:
    """What a quote that a principal of `role` wrote needs; whoever approves must be another principal."""
    total, line = total_discount(priced), largest_line_discount(priced)
    reasons: list[str] = []
    for tier in tiers.tiers:
        broken = _broken(tier, priced, total=total, line=line)
        if not broken:
            break
        reasons = broken
    special = _special(priced)
    free = role in tier.free_for and not special
    return Approval(
        tier=tier.id,
        needs=None if free else tier.approvers[0],
        approvers=tier.approvers,
        total_discount_fraction=total,
        line_discount_fraction=line,
        why="; ".join([*reasons, *special]) or "within every bound of the first tier",
    )


def _special(priced: Priced) -> list[str]:
    """What somebody must look at in every tier, in words: no bound was made for it."""
    stated = [line.bom.id for line in priced.lines if line.bom.stated]
    found = [f"the seller has stated counts ({', '.join(stated)})"] if stated else []
    return found if priced.complete else [*found, "parts without a price are in no sum, so no bound can be judged"]


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
