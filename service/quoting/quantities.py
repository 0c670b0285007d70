"""The quantities of an option by name, which is how rules of the bill of materials speak of them."""

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Any

from service.errors import FieldError, UnknownReferenceError
from service.quoting.bom_rules import Condition, Count, RackChoice
from service.quoting.currency import EXACT
from service.sizing.hardware import Hardware, ServerSpec
from service.sizing.result import SizingOption

Value = Decimal | str | None
REQUIREMENTS = "requirements"
_NAME = re.compile(r"\{([a-z0-9_.]+)\}")
# "1 servers" reads badly.
_ONE = re.compile(r"(?<![\d.,])1 ((?:CPU-only )?server|GPU|year|month|rack|module|cable|block|unit|end|shelf)s\b")
_PLANS = ("network", "storage", "facility")
_STORAGE_BLOCKS = "storage.blocks"
_TOLD_DIGITS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantities:
    """Values by name, and groups: members of a list of the option, each with values of its own."""

    values: Mapping[str, Value]
    groups: Mapping[str, tuple[Mapping[str, Value], ...]]

    def within(self, member: Mapping[str, Value]) -> "Quantities":
        """The same with the values of one member before its own."""
        return Quantities(values={**self.values, **member}, groups=self.groups)


def quantities(
    option: SizingOption, *, hardware: Hardware, racks: Iterable[RackChoice], term_months: int
) -> Quantities:
    """What the option counts: its own numbers and words, those of its plans as `network.optics`, and its groups.

    A plan that learns a new count offers it under its name without a change here. UnknownReferenceError where the
    catalog no longer has the server.
    """
    server = server_of(option, hardware)
    names = {switch.id: switch.name for switch in hardware.switches}
    names |= {block.id: block.name for block in hardware.storage}
    values: dict[str, Value] = dict(_plain("", option))
    groups: dict[str, tuple[Mapping[str, Value], ...]] = {}
    for plan in _PLANS:
        values |= _named(dict(_plain(f"{plan}.", getattr(option, plan))), names)
        groups |= _groups(f"{plan}.", getattr(option, plan), names)
    if not groups.get(_STORAGE_BLOCKS):
        groups[_STORAGE_BLOCKS] = tuple(_blocks(option, hardware))
    values |= _about_server(server, hardware, racks)
    values |= _about_cpu_servers(option, hardware)
    values |= {f"{REQUIREMENTS}.{q.name}": None if q.value is None else number(q.value) for q in option.requirements}
    stands = values["facility.racks"]
    others = (values.get("facility.switch_racks"), values.get("facility.cpu_racks"))
    if isinstance(stands, Decimal):
        values["server_racks"] = stands - sum(racks for racks in others if isinstance(racks, Decimal))
    values |= {"term_months": Decimal(term_months), "term": _term_in_words(term_months)}
    return Quantities(values=values, groups=groups)


def _term_in_words(months: int) -> str:
    years, rest = divmod(months, 12)
    return f"{months} months" if rest else f"{years} years"


def counted(count: Count, known: Quantities) -> int | None:
    """The count; None where one of its quantities is not known."""
    added = [known.values.get(name) for name in count.sum]
    factors = [known.values.get(name) for name in count.times]
    amount = Decimal(0)
    for value in added:
        if not isinstance(value, Decimal):
            return None
        amount += value
    amount = EXACT.divide(EXACT.multiply(amount, count.ratio), count.divided_by)
    whole = amount.to_integral_value(rounding=ROUND_CEILING)
    for value in factors:
        if not isinstance(value, Decimal):
            return None
        whole *= value
    return max(0, int(whole))


def holds(conditions: Iterable[Condition], known: Quantities) -> bool:
    """Whether all of them hold."""
    return all(_holds(condition, known) for condition in conditions)


def told(text: str, known: Quantities) -> str:
    """The text with a value for every name in braces, to four digits; `unknown` where there is none."""
    said = _NAME.sub(lambda found: short(known.values.get(found[1])).replace("_", " "), text)
    return _ONE.sub(r"1 \1", said)


def spelled(text: str, known: Quantities) -> str:
    """The same for an id: numbers as digits alone."""
    return _NAME.sub(lambda found: shown(known.values.get(found[1])).replace(",", ""), text)


def names_in(text: str) -> tuple[str, ...]:
    """The names in braces."""
    return tuple(_NAME.findall(text))


def shown(value: Value) -> str:
    """A value as people write it: thousands apart, no idle zeros."""
    if value is None:
        return "unknown"
    if isinstance(value, str):
        return value
    plain = value.normalize()
    return f"{plain:,f}"


def short(value: Value) -> str:
    """The same to four significant digits, and to the whole where there are more before the point."""
    if isinstance(value, Decimal) and value != value.to_integral_value():
        return shown(round(value, max(0, _TOLD_DIGITS - 1 - value.adjusted())))
    return shown(value)


def number(value: float) -> Decimal:
    """The shortest decimal that is this float."""
    return Decimal(repr(float(value)))


def server_of(option: SizingOption, hardware: Hardware) -> ServerSpec:
    """The server as the catalog has it; UnknownReferenceError where it no longer does."""
    try:
        return hardware.server(option.server)
    except KeyError:
        message = f"The catalog no longer has the server '{option.server}'; size the workload again."
        error = FieldError(field="option.server", message=message, value=option.server)
        raise UnknownReferenceError(f"option.server: {message}", errors=(error,)) from None


def _holds(condition: Condition, known: Quantities) -> bool:
    group = known.groups.get(condition.name)
    value = known.values.get(condition.name)
    if condition.given is not None:
        return (bool(group) or value is not None) == condition.given
    return value is not None and (value if isinstance(value, str) else shown(value)) in condition.among


def _plain(prefix: str, record: Any) -> Iterator[tuple[str, Value]]:
    """Numbers and words of a dataclass; what is neither is left to others."""
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        if isinstance(value, bool):
            yield f"{prefix}{field.name}", str(value).lower()
        elif isinstance(value, int | float):
            yield f"{prefix}{field.name}", number(value)
        elif isinstance(value, str) or value is None:
            yield f"{prefix}{field.name}", None if value is None else str(value)


def _groups(prefix: str, plan: Any, names: Mapping[str, str]) -> dict[str, tuple[Mapping[str, Value], ...]]:
    """Lists of dataclasses."""
    found: dict[str, tuple[Mapping[str, Value], ...]] = {}
    for field in dataclasses.fields(plan):
        members = getattr(plan, field.name)
        if isinstance(members, tuple) and all(dataclasses.is_dataclass(member) for member in members):
            found[f"{prefix}{field.name}"] = tuple(_named(dict(_plain("", member)), names) for member in members)
    return found


def _named(values: dict[str, Value], names: Mapping[str, str]) -> dict[str, Value]:
    """The values, and beside the id of a switch or a storage block what people call it."""
    named: dict[str, Value] = {
        f"{key}_name": names.get(str(value)) for key, value in values.items() if str(value) in names
    }
    return {**values, **named}


def _blocks(option: SizingOption, hardware: Hardware) -> Iterator[Mapping[str, Value]]:
    """Building blocks by capacity and by what is read and written, where the sizing named none and all is known."""
    asked = option.storage
    for block in hardware.storage:
        pairs = [(asked.capacity_tb, block.capacity_tb)]
        pairs += [(rate, most) for rate, most in ((asked.read_gb_s, block.read_gb_s),) if rate is not None]
        pairs += [(rate, most) for rate, most in ((asked.write_gb_s, block.write_gb_s),) if rate is not None]
        needed = [None if most is None else number(wanted) / number(most) for wanted, most in pairs]
        known = [part for part in needed if part is not None]
        blocks = max(known).to_integral_value(rounding=ROUND_CEILING) if len(known) == len(needed) else None
        yield {"block": block.id, "block_name": block.name, "blocks": blocks, "at_least": "false"}


def _about_cpu_servers(option: SizingOption, hardware: Hardware) -> dict[str, Value]:
    """The servers without GPUs that the option takes; without any there is nothing to say of them."""
    if not option.facility.cpu_servers or not hardware.cpu_servers:
        return dict.fromkeys(("cpu_server", "cpu_server_name", "cpu_server_sku", "cpu_server_cores"))
    server = hardware.cpu_servers[0]
    return {
        "cpu_server": server.id,
        "cpu_server_name": server.name,
        "cpu_server_sku": server.sku,
        "cpu_server_cores": Decimal(server.cpu_cores),
    }


def _about_server(server: ServerSpec, hardware: Hardware, racks: Iterable[RackChoice]) -> dict[str, Value]:
    names = {rack.id: rack.name for rack in hardware.racks}
    choice = next(
        (rack for rack in racks if server.family in rack.families or str(server.cooling) == rack.cooling), None
    )
    filled = server.rack_units is not None and server.rack_units >= hardware.facility.rack_units_usable
    return {
        "family": server.family,
        "gpus_server": Decimal(server.gpus),
        "gpu_name": hardware.gpu(server.gpu).name,
        "nic_gbit_s_gpu": number(server.nic_gbit_s_gpu),
        "cooling": str(server.cooling),
        "desktop": str(server.rack_units is None).lower(),
        "fills_rack": str(filled).lower(),
        "rack": None if choice is None else choice.rack,
        "rack_name": None if choice is None else names.get(choice.rack, choice.rack),
        "rack_power": None if choice is None else choice.power,
    }
