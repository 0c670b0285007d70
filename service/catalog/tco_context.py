"""config/tco_context.yaml -> public figures beside a total cost of ownership, with every source as a text."""

import dataclasses
from pathlib import Path

from service.catalog.rule_files import RuleFile
from service.quoting.tco import CitedFigure


def load_tco_context(config_dir: Path) -> tuple[CitedFigure, ...]:
    """The figures. Raises FactsError naming file, record and field."""
    file = RuleFile(config_dir / "tco_context.yaml", keys=("figures",))
    figures: tuple[CitedFigure, ...] = file.each("figures", CitedFigure, unique="id")
    return tuple(
        dataclasses.replace(figure, sources=tuple(file.sources[source] for source in figure.sources))
        for figure in figures
    )
