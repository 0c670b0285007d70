"""The bill of materials of an option: every part with its count, the rule behind it, and what could not be counted."""

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal

from service.quoting.bom_rules import BomRule, BomRules, Charge, SpareRatio
from service.quoting.host_memory import planned_memory
from service.quoting.prices import PartKind
from service.quoting.quantities import (
    REQUIREMENTS,
    Quantities,
    counted,
    holds,
    names_in,
    quantities,
    shown,
    spelled,
    told,
)
from service.quoting.refusal import refusal
from service.sizing.hardware import Hardware
from service.sizing.result import SizingOption
from service.sizing.science.host import HOST_RAM, LOCAL_NVME

MOST_MONTHS = 120
# More than any option takes; what a line may be is bounded by what its rule counts.
MOST_PIECES = 500_000
_SPARE = "spare-"


@dataclass(frozen=True, slots=True, kw_only=True)
class CountDispute:
    """The count by the other reading, who reads it so, and why nobody can tell here."""

    quantity: int
    why: str
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BomLine:
    """One part. `quantity` is what must be bought, `included_quantity` what comes with another part and is not charged.

    `months` are those that a yearly charge runs, 0 for a charge of once; `included_months` those that an entitlement
    covers before, None where it never ends or there is none. `sources` are texts.
    """

    id: str
    rule: str
    part: str
    kind: PartKind
    name: str
    quantity: int
    unit: str
    charge: Charge
    months: int
    sku: str | None
    orderable: bool
    why: str
    basis: str
    sources: tuple[str, ...]
    configuration: tuple[str, ...]
    included_quantity: int
    included_months: int | None
    disputed: CountDispute | None
    note: str | None
    # Whether the seller stated another count than the rule's.
    stated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Uncounted:
    """A part that belongs to the option and that the facts do not allow to count; a seller may, by its id.

    `part` is what a price book calls it then: the rule's id where the option does not even say which part it is.
    """

    id: str
    rule: str
    part: str
    kind: PartKind
    name: str
    unit: str
    charge: Charge
    months: int
    basis: str
    sources: tuple[str, ...]
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bom:
    """The parts of an option for a term, by the rules of this digest; the ids of lines are unique."""

    lines: tuple[BomLine, ...]
    uncounted: tuple[Uncounted, ...]
    term_months: int
    rules_digest: str


def bill_of_materials(
    option: SizingOption, *, hardware: Hardware, rules: BomRules, term_months: int, spares: str
) -> Bom:
    """The parts that the option takes over `term_months`; `spares` is the availability that cold spares are for.

    Raises InvalidRequestError for a term or an availability that there is not, UnknownReferenceError where the catalog
    no longer has the option's server.
    """
    check_term(term_months)
    if spares not in rules.availabilities:
        raise refusal("spares", f"Must be one of {', '.join(rules.availabilities)}.", value=spares)
    known = quantities(option, hardware=hardware, racks=rules.racks, term_months=term_months)
    lines: dict[str, BomLine] = {}
    uncounted: list[Uncounted] = []
    for rule in rules.rules:
        for found in _lines(rule, known, rules, server=option.server, term_months=term_months):
            if isinstance(found, Uncounted):
                uncounted.append(found)
            else:
                lines[found.id] = found
    lines |= {line.id: line for line in spare_lines(tuple(lines.values()), rules, spares)}
    return Bom(
        lines=tuple(lines.values()), uncounted=tuple(uncounted), term_months=term_months, rules_digest=rules.digest
    )


def check_term(term_months: int) -> None:
    """Raises InvalidRequestError for a term that no quote has."""
    if not 1 <= term_months <= MOST_MONTHS:
        limit = f"1 to {MOST_MONTHS} months"
        raise refusal("term_months", f"Must be {limit}; 36 and 60 are usual.", value=term_months, limit=limit)


def _lines(
    rule: BomRule, known: Quantities, rules: BomRules, *, server: str, term_months: int
) -> Iterator[BomLine | Uncounted]:
    if rule.each is None:
        found = _line(rule, known, rules, server=server, term_months=term_months) if holds(rule.when, known) else None
        if found is not None:
            yield found
        return
    members = known.groups.get(rule.each, ())
    made = [_of_member(rule, known.within(member), rules, server=server, term_months=term_months) for member in members]
    if not rule.first:
        yield from (found for found in made if found is not None)
    elif members:
        none = _uncounted(rule, known, rules, name=rule.title or rule.id, term_months=term_months)
        counted_ones = [found for found in made if isinstance(found, BomLine)]
        yield counted_ones[0] if counted_ones else none


def _of_member(
    rule: BomRule, known: Quantities, rules: BomRules, *, server: str, term_months: int
) -> BomLine | Uncounted | None:
    """The line of one member of a group, called after the network or the block that it is."""
    if not holds(rule.when, known):
        return None
    found = _line(rule, known, rules, server=server, term_months=term_months)
    if found is None:
        return None
    own = known.values.get("network") or known.values.get("block") or found.part
    return dataclasses.replace(found, id=f"{rule.id}-{shown(own)}")


def _line(
    rule: BomRule, known: Quantities, rules: BomRules, *, server: str, term_months: int
) -> BomLine | Uncounted | None:
    count = None if rule.count is None else counted(rule.count, known)
    nameless = [name for name in names_in(rule.part) if known.values.get(name) is None]
    if count is None or (count and nameless):
        return _uncounted(rule, known, rules, name=told(rule.name, known), term_months=term_months)
    if count == 0:
        return None
    included, covered = _included(rule, known, count)
    months = 0 if rule.charge is Charge.ONE_TIME else term_months
    bought = count - included
    if covered is not None and months > covered:
        # What an entitlement covers for a while is bought for the months that remain.
        months, bought = months - covered, count
    sku = _sku(rule, known, term_months)
    return BomLine(
        id=rule.id,
        rule=rule.id,
        part=spelled(rule.part, known),
        kind=rule.kind,
        name=told(rule.name, known),
        quantity=bought,
        unit=rule.unit,
        charge=rule.charge,
        months=months,
        sku=sku if bought else None,
        orderable=bool(sku and bought),
        why=_why(rule, known, included=included),
        basis=rule.basis,
        sources=_texts(_all_sources(rule, included=included), rules),
        configuration=_configuration(rule, known, rules, server),
        included_quantity=included,
        included_months=covered,
        disputed=_dispute(rule, known, rules, count),
        note=None if rule.note is None else told(rule.note, known),
    )


def _uncounted(rule: BomRule, known: Quantities, rules: BomRules, *, name: str, term_months: int) -> Uncounted:
    nameless = any(known.values.get(each) is None for each in names_in(rule.part))
    return Uncounted(
        id=rule.id,
        rule=rule.id,
        part=rule.id if nameless else spelled(rule.part, known),
        kind=rule.kind,
        name=name,
        unit=rule.unit,
        charge=rule.charge,
        months=0 if rule.charge is Charge.ONE_TIME else term_months,
        basis=rule.basis,
        sources=_texts(rule.sources, rules),
        why=told(rule.unknown, known),
    )


def _sku(rule: BomRule, known: Quantities, term_months: int) -> str | None:
    """The SKU that the option or the rule knows, where there is one of this term."""
    if rule.sku is None:
        return dict(rule.sku_by_months).get(str(term_months))
    return spelled(rule.sku, known) if all(known.values.get(name) for name in names_in(rule.sku)) else None


def _included(rule: BomRule, known: Quantities, count: int) -> tuple[int, int | None]:
    """How many come with another part, and for how many months (None: for ever, or none do)."""
    entitlement = rule.included
    if entitlement is None or not holds(entitlement.when, known):
        return 0, None
    included = min(count, counted(entitlement.count, known) or 0)
    return included, entitlement.months if included else None


def _why(rule: BomRule, known: Quantities, *, included: int) -> str:
    why = told(rule.why, known)
    return f"{why}; {told(rule.included.why, known)}" if rule.included is not None and included else why


def _all_sources(rule: BomRule, *, included: int) -> tuple[str, ...]:
    extra = rule.included.sources if rule.included is not None and included else ()
    return tuple(dict.fromkeys((*rule.sources, *extra)))


def _texts(ids: Iterable[str], rules: BomRules) -> tuple[str, ...]:
    return tuple(rules.sources[name] for name in ids)


def _configuration(rule: BomRule, known: Quantities, rules: BomRules, server: str) -> tuple[str, ...]:
    # What an older answer does not tell is not told as unknown.
    texts = (text for text in rule.configuration if all(known.values.get(name) is not None for name in names_in(text)))
    own = tuple(told(text, known) for text in texts)
    if not rule.configured or server not in rules.memories:
        return own
    memory = planned_memory(rules.memory, rules.memories[server], work_gb=_asked(known, HOST_RAM) or 0.0)
    disks_tb = _asked(known, LOCAL_NVME)
    local = () if disks_tb is None else (f"Local NVMe: at least {disks_tb:g} TB for its work",)
    return (*own, f"Memory: {memory}", *local, *rules.configurations[server])


def _asked(known: Quantities, name: str) -> float | None:
    """What the work asks of each server; None where it asks nothing of the kind."""
    value = known.values.get(f"{REQUIREMENTS}.{name}")
    return float(value) if isinstance(value, Decimal) else None


def _dispute(rule: BomRule, known: Quantities, rules: BomRules, count: int) -> CountDispute | None:
    dispute = rule.disputed
    if dispute is None or not holds(dispute.when, known):
        return None
    return CountDispute(
        quantity=count * dispute.factor, why=told(dispute.why, known), sources=_texts(dispute.sources, rules)
    )


def spare_lines(lines: tuple[BomLine, ...], rules: BomRules, availability: str) -> Iterator[BomLine]:
    """A line of cold spares for each part whose kind has a ratio, and of which something is bought."""
    ratios = {ratio.kind: ratio for ratio in rules.spares if ratio.availability == availability}
    for part in dict.fromkeys(line.part for line in lines if line.kind in ratios):
        mine = [line for line in lines if line.part == part]
        quantity = sum(line.quantity for line in mine)
        if quantity:
            yield _spare(mine[0], quantity, ratios[mine[0].kind], rules)


def is_spare(line: BomLine) -> bool:
    """Whether it is a line of cold spares."""
    return line.rule.startswith(_SPARE)


def _spare(line: BomLine, quantity: int, ratio: SpareRatio, rules: BomRules) -> BomLine:
    spares = max(ratio.at_least, int((quantity * ratio.ratio).to_integral_value(rounding=ROUND_CEILING)))
    return dataclasses.replace(
        line,
        id=f"{_SPARE}{line.part}",
        rule=f"{_SPARE}{ratio.kind}",
        name=f"{line.name}, cold spare",
        quantity=spares,
        why=f"{shown(ratio.ratio)} x {quantity:,}, rounded up, at least {ratio.at_least} "
        f"(availability {ratio.availability})",
        basis=ratio.basis,
        sources=_texts(ratio.sources, rules),
        included_quantity=0,
        disputed=None,
        note=None,
        stated=False,
    )
