"""The block of the cost of ownership: parts, costs per unit, a cloud beside it, what moves it most."""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from service.documents.spelled import amount, day, share, unit_price, words

Row = dict[str, Any]
_UNITS = {"gpu_hour": "GPU-hour"}
_INPUTS = {
    "electricity_price_kwh": "price of electricity",
    "space_price_kw_month": "price of space",
    "staff_price_year": "price of staff",
    "facility.it_power_kw": "power of the hardware",
}


def missing_names(missing: Iterable[str]) -> Iterator[str]:
    """What people call the inputs of a cost that nobody gave."""
    return (_INPUTS.get(name, name) for name in missing)


def ownership_block(tco: Mapping[str, Any]) -> Row:
    """What the option costs over the horizon."""
    inputs, currency = tco["inputs"], tco["currency"]
    basis = (
        f"Over {inputs['horizon_months']} months at {share(inputs['utilisation_fraction'])} utilisation, in {currency}."
    )
    return {"basis": basis, "rows": list(_ownership_rows(tco, currency))}


def _ownership_rows(tco: Mapping[str, Any], currency: str) -> Iterator[Row]:
    for part in tco["parts"]:
        note = part["why"] if part["amount"] is not None else f"not known: {', '.join(missing_names(part['missing']))}"
        yield {
            "name": words(part["part"]).capitalize(),
            "value": amount(part["amount"], currency),
            "note": note,
            "strong": False,
        }
    without = _without(tco["missing"]) or "every part is in it"
    yield {"name": "Total", "value": amount(tco["total"], currency), "note": without, "strong": True}
    for one in tco["figures"]:
        yield {
            "name": f"Per {_UNITS.get(one['unit'], words(one['unit']))}",
            "value": unit_price(one["amount"], currency),
            "note": "; ".join(filter(None, (one["why"], _without(one["without"])))),
            "strong": False,
        }
    cloud = tco["cloud"]
    if cloud is not None:
        whose = f"{cloud['name']}, {day(cloud['date'])}"
        priced = f"{whose}: {unit_price(cloud['gpu_hour'], currency)} a GPU-hour"
        note = f"{whose} has no price of {cloud['gpu']}" if cloud["gpu_hour"] is None else priced
        if cloud["break_even_utilisation_fraction"] is not None:
            note += f"; {_even(cloud['break_even_utilisation_fraction'])}"
            note += f", owning {_without(cloud['without'])}" if cloud["without"] else ""
        yield {
            "name": "The same hours in a cloud",
            "value": amount(cloud["amount"], currency),
            "note": note,
            "strong": False,
        }
    for moved in tco["sensitivity"]:
        low, high = (unit_price(moved[name], currency) for name in ("gpu_hour_at_low", "gpu_hour_at_high"))
        name = words(moved["input"].removesuffix("_fraction"))
        span = f"{name} from {_bound(moved, 'low')} to {_bound(moved, 'high')}"
        yield {"name": "A GPU-hour, if", "value": f"{low} … {high}", "note": span, "strong": False}


def _bound(moved: Mapping[str, Any], end: str) -> str:
    """A share in percent, any other number with its thousands apart."""
    if moved["input"].endswith("_fraction"):
        return share(moved[end])
    return f"{Decimal(moved[end]).normalize():,f}"


def _even(utilisation: str) -> str:
    """Where owning and the cloud cost the same, if there is such a utilisation."""
    if Decimal(utilisation) > 1:
        return "owning costs more at any utilisation"
    return f"both cost the same at {share(utilisation)} utilisation"


def _without(parts: Iterable[str]) -> str:
    """Which parts are in no sum; nothing where all are in it."""
    named = ", ".join(map(words, parts))
    return f"without {named}" if named else ""
