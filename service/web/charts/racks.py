"""Racks of an option: which server stands in which units, and what each rack draws against what it may draw."""

from dataclasses import dataclass

from service.sizing.hardware import Cooling, Hardware
from service.sizing.result import SizingOption
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
    """A server in a rack: its units from the bottom, and where they are drawn."""

    number: int
    first_unit: int
    last_unit: int
    y: float
    height: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Rack:
    """One rack with its servers."""

    number: int
    x: float
    servers: tuple[Standing, ...]
    power_kw: float | None
    load: float | None
    switches: bool = False


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
    counts = _filled(option.servers, plan.servers_rack)
    drawn = counts[:MOST_DRAWN]
    racks, number = [], 0
    for place, servers in enumerate(drawn):
        standing = tuple(_standing(number + one + 1, one, server.rack_units, units=units) for one in range(servers))
        number += servers
        power_kw = None if server.plan_power_kw is None else server.plan_power_kw * servers
        racks.append(
            Rack(
                number=place + 1,
                x=place * (RACK_WIDTH + _GAP) + 24.0,
                servers=standing,
                power_kw=power_kw,
                load=None if power_kw is None else round(min(1.0, power_kw / limit_kw) * RACK_WIDTH, 1),
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


def _filled(servers: int, servers_rack: int) -> list[int]:
    full, rest = divmod(servers, servers_rack)
    return [servers_rack] * full + ([rest] if rest else [])


def _standing(number: int, place: int, height_units: float, *, units: int) -> Standing:
    """From the bottom up, as heavy things stand."""
    first = place * height_units
    return Standing(
        number=number,
        first_unit=int(first) + 1,
        last_unit=int(first + height_units),
        y=round(_TOP + (units - first - height_units) * UNIT + 1.0, 1),
        height=round(height_units * UNIT - 2.0, 1),
    )
