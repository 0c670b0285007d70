"""The block of power, racks, network and storage."""

from collections.abc import Mapping
from typing import Any

from service.documents.spelled import figure, whole, words

Row = dict[str, Any]


def site_block(option: Mapping[str, Any]) -> Row:
    """What a site must have, in two columns."""
    facility, network, storage = option["facility"], option["network"], option["storage"]
    switches = (network["leaf_switches"] or 0) + (network["spine_switches"] or 0)
    left = (
        ("Servers", f"{whole(option['servers'])}, of them spare {whole(option['spare_servers'])}"),
        ("Racks", whole(facility["racks"])),
        ("Rack units of the servers", figure(facility["rack_units"])),
        ("Weight", _measured(facility["weight_kg"], "kg")),
        ("Cooling", facility["cooling"]),
    )
    right = (
        ("IT power", f"{figure(facility['it_power_kw'])} kW"),
        ("At the meter", f"{figure(facility['facility_power_kw'])} kW (PUE {figure(facility['pue'])})"),
        ("Fullest rack", _measured(facility["rack_power_kw"], "kW")),
        ("Heat into liquid", _measured(facility["liquid_heat_kw"], "kW")),
        ("Network", f"{words(network['fabric'])}, {whole(switches)} switches for the GPUs"),
        ("Storage", _storage(storage)),
    )
    return {"left": _pairs(left), "right": _pairs(right)}


def _storage(storage: Mapping[str, Any]) -> str:
    size = _measured(storage["capacity_tb"], "TB")
    return size if storage["read_gb_s"] is None else f"{size}, reads {_measured(storage['read_gb_s'], 'GB/s')}"


def _measured(value: float | None, unit: str) -> str:
    return "not known" if value is None else f"{figure(value)} {unit}"


def _pairs(rows: tuple[tuple[str, str], ...]) -> list[Row]:
    return [{"name": name, "value": value} for name, value in rows]
