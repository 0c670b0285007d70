"""Racks of an option: what stands in which units, and what each rack draws against what it may draw."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from service.sizing.hardware import Cooling, Hardware, ServerSpec
from service.sizing.racks import SwitchStack, rack_limits, rack_table, switches_by_rack
from service.sizing.result import SizingOption
from service.sizing.units import KW
from service.sizing.workload import Constraints

UNIT = 6.0
RACK_WIDTH = 110.0
_GAP = 34.0
_TOP = 22.0
_FOOT = 40.0
# More racks than this look alike.
MOST_DRAWN = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A server or a switch in a rack: its units from the bottom, and where they are drawn."""

    number: int
    name: str
    first_unit: int
    last_unit: int
    y: float
    height: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Rack:
    """One rack with its servers, and its switches above them."""

    number: int
    x: float
    servers: tuple[Standing, ...]
    power_kw: float | None
    load: float | None
    switches: tuple[Standing, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RackDrawing:
    """The racks that are drawn; `left_off` more look like the last one."""

    racks: tuple[Rack, ...]
    units: int
    limit_kw: float
    left_off: int
    width: float
    height: float
    top: float
    frame: float


def rack_drawing(option: SizingOption, hardware: Hardware, constraints: Constraints) -> RackDrawing | None:
    """The racks; None where the height or the power of the server is unknown."""
    plan, preset = option.facility, hardware.facility
    server = next((one for one in hardware.servers if one.id == option.server), None)
    if server is None or not plan.servers_rack or server.rack_units is None or plan.racks is None:
        return None
    liquid = server.cooling is Cooling.LIQUID
    limit_kw = constraints.max_rack_kw or (preset.liquid_rack_max_kw if liquid else preset.air_rack_max_kw)
    units = max(int(preset.rack_units_usable + preset.switch_rack_units), int(server.rack_units))
    kinds = _switches(option, hardware)
    by_rack = switches_by_rack(
        rack_table((server,), preset, rack_limits(constraints)),
        servers=option.servers,
        switches=tuple(kind.stack for kind in kinds),
    )
    counts = _filled(option.servers, plan.servers_rack)
    counts += [0] * (len(by_rack) - len(counts))
    drawn = counts[:MOST_DRAWN]
    racks, number = [], 0
    for place, (servers, switches) in enumerate(zip(drawn, by_rack, strict=False)):
        standing = tuple(
            _standing(number + one + 1, server.name, one * server.rack_units, server.rack_units, units=units)
            for one in range(servers)
        )
        number += servers
        power_kw = _power_kw(server, servers, kinds, switches)
        racks.append(
            Rack(
                number=place + 1,
                x=place * (RACK_WIDTH + _GAP) + 24.0,
                servers=standing,
                power_kw=power_kw,
                load=None if power_kw is None else round(min(1.0, power_kw / limit_kw) * RACK_WIDTH, 1),
                switches=tuple(_from_top(kinds, switches, units=units)),
            )
        )
    frame = units * UNIT
    return RackDrawing(
        racks=tuple(racks),
        units=units,
        limit_kw=limit_kw,
        left_off=plan.racks - len(drawn),
        width=len(drawn) * (RACK_WIDTH + _GAP) + 24.0,
        height=_TOP + frame + _FOOT,
        top=_TOP,
        frame=frame,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    name: str
    stack: SwitchStack


def _switches(option: SizingOption, hardware: Hardware) -> tuple[_Kind, ...]:
    """The switches of each network of the option; those of unknown height or power are drawn in no rack."""
    specs = {one.id: one for one in hardware.switches}
    found = []
    for part in option.network.networks:
        spec = specs.get(part.switch or "")
        count = (part.leaf_switches or 0) + (part.spine_switches or 0)
        if spec is not None and count and spec.rack_units and spec.plan_power_w:
            stack = SwitchStack(switches=count, power_kw=spec.plan_power_w / KW, rack_units=spec.rack_units)
            found.append(_Kind(name=f"{spec.name}, {part.network.replace('_', ' ')}", stack=stack))
    return tuple(found)


def _power_kw(server: ServerSpec, servers: int, kinds: Sequence[_Kind], switches: Sequence[int]) -> float | None:
    if server.plan_power_kw is None:
        return None
    return server.plan_power_kw * servers + sum(
        float(kind.stack.power_kw) * count for kind, count in zip(kinds, switches, strict=True)
    )


def _from_top(kinds: Sequence[_Kind], switches: Sequence[int], *, units: int) -> Iterator[Standing]:
    """Switches from the top down, as cables are shortest."""
    top = float(units)
    for kind, count in zip(kinds, switches, strict=True):
        height = float(kind.stack.rack_units)
        for number in range(count):
            top -= height
            yield _standing(number + 1, kind.name, top, height, units=units)


def _filled(servers: int, servers_rack: int) -> list[int]:
    full, rest = divmod(servers, servers_rack)
    return [servers_rack] * full + ([rest] if rest else [])


def _standing(number: int, name: str, first: float, height_units: float, *, units: int) -> Standing:
    """`first` units stand under it: servers go from the bottom up, as heavy things stand."""
    inset = min(1.0, height_units / 2.0)
    return Standing(
        number=number,
        name=name,
        first_unit=int(first) + 1,
        last_unit=max(int(first) + 1, int(first + height_units)),
        y=round(_TOP + (units - first - height_units) * UNIT + inset, 1),
        height=round(height_units * UNIT - 2.0 * inset, 1),
    )
