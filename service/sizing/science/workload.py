"""Scientific workloads, one dataclass per template; `application` names an entry of the applications catalog."""

from dataclasses import dataclass, field

from service.sizing.kind import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class ScienceWorkload:
    """What every scientific job has; each template adds its own fields."""

    application: str
    kind: Kind = field(default=Kind.SCIENCE, init=False)
