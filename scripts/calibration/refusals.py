"""Calibration runs that the engine refuses: told one by one, and reason to stop where a fit had counted them."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from service.errors import PlannerError

Refuse = Callable[[str | None, PlannerError], None]
_COUNTED = re.compile(r"^inputs: (\d+) ", re.MULTILINE)


class LostRunsError(Exception):
    """Fewer runs can be fitted than the file that is to be written anew was fitted on, because some are refused."""


def unheard(run_id: str | None, error: PlannerError) -> None:
    """For who wants the runs alone."""


@dataclass(slots=True)
class Refusals:
    """Which runs of one kind were refused, and why."""

    reasons: dict[str, str] = field(default_factory=dict)

    def add(self, run_id: str | None, error: PlannerError) -> None:
        """One more; a run counts once, however often it is asked for."""
        self.reasons[str(run_id)] = str(error)

    def tell(self, written: Path, *, fitted: int, say: Callable[[str], None]) -> None:
        """Says how many and which. Raises LostRunsError where runs that `written` counts are now among them."""
        if not self.reasons:
            return
        say(f"{len(self.reasons)} calibration runs are refused and not fitted:")
        for run_id, reason in sorted(self.reasons.items()):
            say(f"  {run_id}: {reason}")
        counted = counted_runs(written)
        if fitted < counted:
            raise LostRunsError(
                f"{written.name} was fitted on {counted} runs, now {fitted} are left: it stays as it is. "
                "Make the engine answer them, or take their lines out of the evidence"
            )


def counted_runs(written: Path) -> int:
    """How many runs a file was fitted on, as its `inputs` say; none where there is no file yet."""
    found = _COUNTED.search(written.read_text(encoding="utf-8")) if written.exists() else None
    return 0 if found is None else int(found.group(1))
