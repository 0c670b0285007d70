"""What the figures were measured on, and how busy it was with other things."""

import os
import platform
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Cores that this process may use, their name, and the load average of the last minute before the run."""

    cores: int
    processor: str
    python: str
    load_average: float

    @property
    def quiet(self) -> bool:
        """Whether others left the cores alone; figures of a busy machine are too low, ratios are shaky."""
        return self.load_average < 0.3 * self.cores

    def sentence(self) -> str:
        """One line for a person."""
        busy = "" if self.quiet else f"; NOT quiet: load average {self.load_average:.1f} before the run"
        return f"{self.cores} cores of {self.processor}, Python {self.python}{busy}"


def processor_name(cpuinfo: str) -> str:
    """The first `model name` of /proc/cpuinfo."""
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine() or "an unknown processor"


def this_machine() -> Machine:
    """Looked at before anything is started."""
    return Machine(
        cores=len(os.sched_getaffinity(0)),
        processor=processor_name(Path("/proc/cpuinfo").read_text(encoding="utf-8")),
        python=platform.python_version(),
        load_average=os.getloadavg()[0],
    )
