"""The part that every form ends with: what the site, the purse and the law allow."""

from dataclasses import replace

from service.schemas.constraints import ConstraintsSchema
from service.web.form.field import Group, fields_of

_WORDS = {
    "cooling": "Cooling",
    "max_rack_kw": "Power of a rack, at most",
    "max_racks": "Racks, at most",
    "max_facility_kw": "Power in all, at most",
    "max_rack_air_kw": "Heat of a rack into air, at most",
    "max_rack_kg": "Weight in a rack, at most",
    "max_budget_usd": "Budget for hardware",
    "allowed_gpus": "Only these GPUs",
    "allowed_servers": "Only these servers",
    "min_confidence_fraction": "Confidence, at least",
    "destination_country": "Country",
    "deliver_by": "Deliver by",
    "pue": "PUE of the site",
    "grid_kg_co2_kwh": "CO2 of the grid",
}
# A sizing keeps these and does nothing with them, which whoever types them has to know.
_OF_QUOTES = {
    "constraints.destination_country": "Changes nothing here: its export rules are screened in the quote.",
    "constraints.deliver_by": "Changes nothing here: lead times are looked at in the quote.",
}
_SITE = Group(
    title="Site and limits",
    folded=True,
    fields=fields_of(
        ConstraintsSchema(),
        "constraints",
        "cooling",
        "max_rack_kw",
        "max_racks",
        "max_facility_kw",
        "max_budget_usd",
        "min_confidence_fraction",
        "allowed_gpus",
        "allowed_servers",
        "max_rack_air_kw",
        "max_rack_kg",
        "pue",
        "grid_kg_co2_kwh",
        "destination_country",
        "deliver_by",
        words=_WORDS,
    ),
)
_UNITS = {"constraints.grid_kg_co2_kwh": "kg/kWh"}
SITE = replace(
    _SITE,
    fields=tuple(
        replace(one, note=_OF_QUOTES.get(one.path, ""), unit=_UNITS.get(one.path, one.unit)) for one in _SITE.fields
    ),
)
