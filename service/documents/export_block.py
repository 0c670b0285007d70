"""The block of export screening: flags with what they were asked, and never a verdict."""

from collections.abc import Iterator, Mapping
from typing import Any

from service.documents.spelled import day, figure, words

Row = dict[str, Any]
_FACTS: Mapping[str, str] = {"listed_owners_fraction": "share that listed parties own", "end_use": "use"}


def export_block(export: Mapping[str, Any]) -> Row:
    """Rules that match or may match, the facts behind them, and the age of the table."""
    found = len(export["matches"])
    rules = "no rule of the table matched" if not found else f"{found} rules match or may match"
    return {
        "headline": f"Strongest flag: {words(export['severity'])}; {rules}",
        "matches": [_match(match) for match in export["matches"]],
        "notes": list(_export_notes(export)),
    }


def _match(match: Mapping[str, Any]) -> Row:
    said = [match["note"], f"not known: {', '.join(map(_fact, match['missing']))}" if match["missing"] else None]
    said.append(None if match["enforced"] else "on the books, announced not to be enforced")
    why = "; ".join(text for text in said if text)
    return {
        "flag": words(match["severity"]) + (f"; review: {words(match['review'])}" if match["review"] else ""),
        "rule": f"{match['rule']} ({', '.join(match['parts'])})",
        "why": f"{why}. {'; '.join(match['sources'])}" if why else "; ".join(match["sources"]),
    }


def _fact(name: str) -> str:
    """A fact about a shipment as people call it."""
    return _FACTS.get(name) or words(name)


def _export_notes(export: Mapping[str, Any]) -> Iterator[str]:
    shipment = export["shipment"]
    names = ("destination", "headquarters", "ultimate_parent", "exporter", "end_use", "listed_owners_fraction")
    asked = ", ".join(
        f"{_fact(name)} {'not known' if shipment[name] is None else words(str(shipment[name]))}" for name in names
    )
    yield f"Screened for {day(shipment['on'])}: {asked}."
    for part in export["parts"]:
        density = f"{figure(part['performance_density_low'])} to {figure(part['performance_density_high'])}"
        marketed = {True: "yes", False: "no", None: "not known"}[part["data_centre"]]
        yield (
            f"{part['part']}: TPP {figure(part['tpp'])}, performance density {density}, "
            f"die {figure(part['die_mm2_low'])} to {figure(part['die_mm2_high'])} mm\N{SUPERSCRIPT TWO}, "
            f"marketed for data centres: {marketed}."
        )
    yield (
        f"Table {export['table_version']}; primary text read as of {day(export['primary_text_seen'])}; changes since "
        f"{day(export['unseen_since'])} may be missing."
    )
    yield export["disclaimer"]
