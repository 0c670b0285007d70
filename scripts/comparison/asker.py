"""Answers questions with the tree that PYTHONPATH names: run by path, so that older revisions need not have this file.

`python -P asker.py QUESTIONS OUT`: lines of {"name", "body"} become lines of {"name", "answer"} or {"name", "error"}.
"""

import json
import sys
from pathlib import Path
from typing import Any

from config.environment import ROOT
from scripts.size_file import answer
from service.catalog.load import load_catalog
from service.catalog.prices import load_price_book
from service.sizing.version import ENGINE_VERSION


def main(questions: Path, out: Path) -> None:
    """Answer every question; what goes wrong with one is told, and the others go on."""
    facts = load_catalog(ROOT / "config"), load_price_book(ROOT / "config")
    versions = {"engine": ENGINE_VERSION, "catalog": facts[0].version, "calibration": facts[0].calibration.version}
    with questions.open(encoding="utf-8") as source, out.open("w", encoding="utf-8") as target:
        target.write(json.dumps({"versions": versions}) + "\n")
        for line in source:
            question = json.loads(line)
            target.write(json.dumps({"name": question["name"], **_told(question["body"], facts)}) + "\n")


def _told(body: Any, facts: Any) -> dict[str, Any]:
    try:
        _, result = answer(json.dumps(body).encode(), facts)
    except Exception as error:  # noqa: BLE001  # of any revision: whatever it is, it is no answer
        return {"error": f"{type(error).__name__}: {error}"[:300]}
    return {"answer": _quantities(result)}


def _quantities(result: dict[str, Any]) -> dict[str, Any]:
    """What is compared of an answer: all of it that a plan is made from."""
    option = next(iter(result.get("options") or ()), None)
    found: dict[str, Any] = {"feasible": option is not None}
    if option is None:
        shortfall = result.get("shortfall") or {}
        return found | {"shortfall.limit": shortfall.get("limit")}
    facility, cost = option.get("facility") or {}, option.get("cost") or {}
    total = cost.get("total_usd")
    return {
        **found,
        **{name: option.get(name) for name in ("server", "servers", "gpus", "confidence_fraction", "bottleneck")},
        "facility_power_kw": facility.get("facility_power_kw"),
        "cost.total_usd": None if total is None else float(total),
        **{f"{name}.p50": metric.get("p50") for name, metric in (option.get("metrics") or {}).items()},
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
