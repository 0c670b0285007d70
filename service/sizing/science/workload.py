"""Scientific workloads, one dataclass per template; `application` names an entry of the applications catalog."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ScienceWorkload:
    """What every scientific job has."""

    application: str
