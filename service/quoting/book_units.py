"""What one of a part is to a price book and to the rules that count it: a price of another unit prices nothing."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from service.quoting.bom_rules import BomRule, BomRules, Charge
from service.quoting.prices import PartKind
from service.quoting.quantities import names_in
from service.sizing.hardware import Hardware

# How a price list may call one of anything that is paid once.
_ONE = frozenset({"piece", "pieces", "pc", "pcs", "each", "ea", "unit", "item", "system", "rack"})
# Every option says which servers it is of.
_ALWAYS_KNOWN = ("server",)
_APART = re.compile(r"[\s_/-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownPart:
    """A part that a rule of the bill of materials can name, with the unit that the rule counts."""

    part: str
    kind: PartKind
    unit: str
    charge: Charge


def same_unit(listed: str, *, unit: str, kind: PartKind, charge: Charge) -> bool:
    """Whether a price of one `listed` is that of one `unit`: GPU_year is GPU-year, and a piece is a server."""
    said = _plain(listed)
    return said == _plain(unit) or (charge is Charge.ONE_TIME and (said in _ONE or said == _plain(kind)))


def unit_in_words(part: KnownPart) -> str:
    """What a price book must call one of it."""
    return part.unit if part.charge is Charge.YEARLY else f"{part.unit} or piece"


def known_parts(rules: BomRules, hardware: Hardware) -> Mapping[str, KnownPart]:
    """Every part that the rules can name, of all servers, switches, racks and storage blocks of the catalog, by id."""
    values = _values(hardware)
    found: dict[str, KnownPart] = {}
    for rule in rules.rules:
        for part in _spelled(rule, values):
            found.setdefault(part, KnownPart(part=part, kind=rule.kind, unit=rule.unit, charge=rule.charge))
    return found


def _values(hardware: Hardware) -> Mapping[str, tuple[str, ...]]:
    speeds = {server.nic_gbit_s_gpu for server in hardware.servers}
    speeds |= {switch.port_gbit_s for switch in hardware.switches if switch.port_gbit_s is not None}
    rates = tuple(sorted(f"{speed:g}" for speed in speeds))
    switches = tuple(switch.id for switch in hardware.switches)
    return {
        "server": tuple(server.id for server in hardware.servers),
        "cpu_server": tuple(server.id for server in hardware.cpu_servers),
        "switch": switches,
        "network.switch": switches,
        "rack": tuple(rack.id for rack in hardware.racks),
        "block": tuple(block.id for block in hardware.storage),
        "port_gbit_s": rates,
        "module_gbit_s": rates,
        "network.nic_gbit_s_gpu": rates,
    }


def _spelled(rule: BomRule, values: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    """The ids that the rule's part may have; a rule has at most one name in braces.

    Where the option does not say which part it is, a seller who counts it by hand prices it by the rule's id.
    """
    names = names_in(rule.part)
    if not names:
        yield rule.part
    elif names != _ALWAYS_KNOWN:
        yield rule.id
    for name in names[:1]:
        yield from (rule.part.replace(f"{{{name}}}", value) for value in values.get(name, ()))


def _plain(unit: str) -> str:
    return _APART.sub("-", unit.strip().casefold())
