"""Counts that the seller states: servers replan what stands around them, every other count is its own line's."""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from service.errors import FieldError, InvalidRequestError
from service.quoting.bom import MOST_PIECES, Bom, BomLine, Uncounted, is_spare, spare_lines
from service.quoting.bom_rules import BomRules
from service.quoting.quantities import server_of
from service.quoting.refusal import field_error, near_names, refusal, refused
from service.sizing.beside import Beside
from service.sizing.calibration import Calibration
from service.sizing.hardware import Hardware
from service.sizing.infrastructure import infrastructure
from service.sizing.result import FacilityPlan, SizingOption
from service.sizing.round_result import rounded
from service.sizing.site import draw_of
from service.sizing.units import YEAR_H
from service.sizing.workload import Constraints

SERVERS = "server"
"""The line whose count is the option's servers: what the rules count by servers, GPUs, racks and cables follows it."""
MOST_TIMES = 10
LEAST_LIMIT = 100
_NO_LINE = "There is no such line; take an id of lines or of uncounted."
# Networks between GPUs of different servers.
_BETWEEN_SERVERS = "ethernet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What a count of servers is planned with: the facts, what the question bounds, and the planning assumptions."""

    hardware: Hardware
    constraints: Constraints
    calibration: Calibration


def restated(option: SizingOption, quantities: Mapping[str, int], site: Site) -> SizingOption:
    """The option with as many servers as the seller states, and the networks, racks and power of those.

    More servers than were sized are spare ones, fewer take spare ones out; 0 takes the line out of the quote and leaves
    the plan as it is. Speed and confidence are those of the servers at work, which are never fewer than were sized.
    Raises InvalidRequestError for a count that cannot be.
    """
    servers = quantities.get(SERVERS, 0)
    if not servers or servers == option.servers:
        return option
    least, most = servers_range(option)
    if not least <= servers <= most:
        limit = f"{least:,} to {most:,}, or 0 to take the line out"
        message = f"Must be {limit}: so many are at work by the sizing; for fewer, size the workload again."
        raise refusal(f"quantities.{SERVERS}", message, value=servers, limit=limit)
    server = server_of(option, site.hardware)
    around = infrastructure(
        server,
        site.hardware.gpu(server.gpu),
        servers=servers,
        east_west=option.network.fabric == _BETWEEN_SERVERS,
        storage=option.storage,
        hardware=site.hardware,
        constraints=site.constraints,
        calibration=site.calibration,
        beside=_beside(option, site.hardware),
        busy_fraction=_busy_fraction(option, site.calibration),
    )
    _check_site(around.facility, servers, site.constraints)
    return dataclasses.replace(
        option,
        servers=servers,
        spare_servers=option.spare_servers + servers - option.servers,
        gpus=option.gpus // option.servers * servers,
        network=rounded(around.network),
        facility=rounded(around.facility),
    )


def _beside(option: SizingOption, hardware: Hardware) -> Beside | None:
    """The servers without GPUs that the option takes: spare GPU servers change nothing about the work."""
    if not option.facility.cpu_servers or not hardware.cpu_servers:
        return None
    return Beside(server=hardware.cpu_servers[0].placed(), servers=option.facility.cpu_servers)


def _busy_fraction(option: SizingOption, calibration: Calibration) -> float:
    """How busy the option's GPUs are, from the energy that they draw; all the time where it is not known."""
    plan, draw = option.facility, draw_of(calibration, 1.0)
    if not plan.energy_kwh_year or not plan.facility_power_kw or draw.load_fraction <= draw.idle_fraction:
        return 1.0
    mean = plan.energy_kwh_year / (plan.facility_power_kw * YEAR_H)
    return (mean - draw.idle_fraction) / (draw.load_fraction - draw.idle_fraction)


def servers_range(option: SizingOption) -> tuple[int, int]:
    """The fewest and the most servers that a seller may state: those at work, and ten times the option's."""
    return option.servers - option.spare_servers, option.servers * MOST_TIMES


def adjusted(bom: Bom, quantities: Mapping[str, int], *, sized: int, rules: BomRules, spares: str) -> Bom:
    """The bill with the counts that the seller states, by id of the line; 0 takes a line out and leaves it to be seen.

    `bom` is of the restated option, `sized` the servers before. Cold spares follow the stated counts of their parts.
    What no rule could count becomes a line by the count that is stated for its id; 0 says that none is needed.
    Raises InvalidRequestError for a line that there is not, and for a count below 0 or beyond ten times the rule's.
    """
    plain = [line for line in bom.lines if not is_spare(line)]
    plain += [_line_of(part) for part in bom.uncounted if part.id in quantities]
    made = [_stated(line, quantities, counted=sized if line.id == SERVERS else line.quantity) for line in plain]
    spare = [_stated(line, quantities, counted=line.quantity) for line in spare_lines(tuple(made), rules, spares)]
    wrong = list(_wrong(bom, quantities))
    if wrong:
        raise refused(wrong)
    if not any(line.quantity for line in made):
        raise refusal("quantities", "A quote has at least one part; leave a line in.")
    left = tuple(part for part in bom.uncounted if part.id not in quantities)
    return dataclasses.replace(bom, lines=(*made, *spare), uncounted=left)


def configured(bom: Bom, configurations: Mapping[str, str]) -> Bom:
    """The bill with what the seller says that lines consist of, by id of the line, in place of what the rules say.

    Raises InvalidRequestError for a line that there is not.
    """
    ids = [line.id for line in bom.lines]
    wrong = [
        field_error(f"configurations.{name}", _NO_LINE, value=name, near=near_names(name, ids))
        for name in configurations
        if name not in ids
    ]
    if wrong:
        raise refused(wrong)
    lines = tuple(
        dataclasses.replace(line, configuration=(configurations[line.id],)) if line.id in configurations else line
        for line in bom.lines
    )
    return dataclasses.replace(bom, lines=lines)


def most_pieces(line: BomLine) -> int:
    """The most that a seller may state of a line: ten times what the rule counts, a hundred in any case."""
    return max(LEAST_LIMIT, MOST_TIMES * (line.quantity + line.included_quantity))


def _wrong(bom: Bom, quantities: Mapping[str, int]) -> Iterator[FieldError]:
    lines = {line.id: line for line in bom.lines}
    uncounted = {part.id for part in bom.uncounted}
    for name, quantity in quantities.items():
        field = f"quantities.{name}"
        line = lines.get(name)
        if name in uncounted:
            if not 0 <= quantity <= MOST_PIECES:
                limit = f"0 to {MOST_PIECES:,}"
                yield field_error(field, f"Must be {limit}; 0 says that none is needed.", value=quantity, limit=limit)
        elif line is None:
            yield field_error(field, _NO_LINE, value=name, near=near_names(name, [*lines, *uncounted]))
        elif name != SERVERS and not 0 <= quantity <= most_pieces(line):
            limit = f"0 to {most_pieces(line):,}"
            counted = line.quantity + line.included_quantity
            message = f"Must be {limit}; the rule counts {counted:,}, and 0 takes the line out."
            yield field_error(field, message, value=quantity, limit=limit)


def _line_of(part: Uncounted) -> BomLine:
    """The line that a count by hand makes of a part that no rule could count."""
    return BomLine(
        id=part.id,
        rule=part.rule,
        part=part.part,
        kind=part.kind,
        name=part.name,
        quantity=0,
        unit=part.unit,
        charge=part.charge,
        months=part.months,
        sku=None,
        orderable=False,
        why=f"stated by the seller; no rule counts it: {part.why}",
        basis=part.basis,
        sources=part.sources,
        configuration=(),
        included_quantity=0,
        included_months=None,
        disputed=None,
        note=None,
        stated=True,
    )


def _stated(line: BomLine, quantities: Mapping[str, int], *, counted: int) -> BomLine:
    quantity = quantities.get(line.id)
    if quantity is None or (quantity == counted and not line.stated):
        return line
    why = f"{quantity:,} {line.why}" if line.stated else f"{quantity:,} stated by the seller; by the rule {counted:,}"
    return dataclasses.replace(line, quantity=quantity, why=why, stated=True)


def _check_site(plan: FacilityPlan, servers: int, constraints: Constraints) -> None:
    """The bounds that the question sets on the site hold for stated servers as for sized ones."""
    bounds = (
        ("max_racks", plan.racks, constraints.max_racks, "racks"),
        ("max_facility_kw", plan.facility_power_kw, constraints.max_facility_kw, "kW at the meter"),
    )
    for name, needed, most, unit in bounds:
        if most is not None and (needed is None or needed > most):
            takes = "an unknown number of" if needed is None else f"{needed:,.6g}"
            limit = f"{name} of {most:,.10g}"
            message = f"{servers:,} servers take {takes} {unit}, and the sizing was asked for a {limit}."
            raise refusal(f"quantities.{SERVERS}", message, value=servers, limit=limit)


def fitting(option: SizingOption, quantities: Mapping[str, int], site: Site) -> bool:
    """Whether the option can have the servers that are stated."""
    try:
        restated(option, quantities, site)
    except InvalidRequestError:
        return False
    return True
