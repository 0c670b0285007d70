"""config/lead_times.yaml -> LeadTimeNotes: cited context, with every source as a text."""

import dataclasses
from pathlib import Path
from typing import Any

from service.catalog.files import wrong
from service.catalog.rule_files import RuleFile
from service.quoting.supply import BacklogFact, LeadTimeNote, LeadTimeNotes


def load_lead_times(config_dir: Path) -> LeadTimeNotes:
    """The notes. Raises FactsError naming file, record and field."""
    file = RuleFile(config_dir / "lead_times.yaml", keys=("notes", "backlog"))
    notes: tuple[LeadTimeNote, ...] = file.each("notes", LeadTimeNote, unique="id")
    backlog: tuple[BacklogFact, ...] = file.each("backlog", BacklogFact, unique="quarter")
    for note in notes:
        low, high = note.low_weeks, note.high_weeks
        if (low is None) != (high is None) or (low is not None and high is not None and not 0 <= low <= high):
            raise wrong(file.path, note.id, "low_weeks", "Give both bounds in order, or neither.")
    return LeadTimeNotes(
        date=file.date,
        digest=file.digest,
        notes=tuple(_cited(file, note) for note in notes),
        backlog=tuple(_cited(file, fact) for fact in backlog),
    )


def _cited(file: RuleFile, record: Any) -> Any:
    if not record.sources:
        name = getattr(record, "id", None) or record.quarter
        raise wrong(file.path, name, "sources", "What was said needs at least one source.")
    return dataclasses.replace(record, sources=tuple(file.sources[source] for source in record.sources))
