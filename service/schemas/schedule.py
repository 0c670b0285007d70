"""What a schedule says on the wire: when it is due, which workloads it re-sizes, and what counts as moved."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar

from marshmallow import ValidationError, fields, validates_schema

from service.quoting.difference import CauseKind
from service.schemas.issue import Issue
from service.schemas.strict import Amount, Choice, Count, RecordSchema, Text
from service.schemas.workload import LabelsField
from service.sizing.kind import Kind
from service.ticks import NotCronError, read_cron, read_zone

_OPTIONAL: dict[str, Any] = {"load_default": None, "allow_none": True}
_MOST_DAYS = 3650
TRIGGERS = (CauseKind.CATALOG, CauseKind.CALIBRATION, CauseKind.PRICE_BOOK, CauseKind.ENGINE)
THRESHOLD_FRACTION = 0.05


class AnswerState(StrEnum):
    """How the newest run of a workload that was answered or failed has ended; unanswered where there is none."""

    FEASIBLE = "feasible"
    INFEASIBLE = "infeasible"
    FAILED = "failed"
    UNANSWERED = "unanswered"


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which workloads are re-sized; what is left out narrows nothing, and archived ones never are."""

    labels: Mapping[str, str] = field(default_factory=dict)
    kind: Kind | None = None
    state: AnswerState | None = None
    asked_within_days: int | None = None
    asked_before_days: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleRequest:
    """What a caller says of a schedule."""

    name: str
    cron: str | None
    time_zone: str
    triggers: tuple[CauseKind, ...]
    selection: Selection
    threshold_fraction: float


class CronField(Text):
    """A cron expression of five fields; what its zone makes of it is said by the whole."""

    def __init__(self, what: str, **kwargs: Any) -> None:
        super().__init__(what, longest=100, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        limit = "minute, hour, day of the month, month, day of the week"
        try:
            return read_cron(text, "UTC").expression
        except NotCronError as error:
            raise ValidationError(Issue(str(error), value=text, limit=limit)) from error


class ZoneField(Text):
    """A zone of the IANA database."""

    def __init__(self, what: str, **kwargs: Any) -> None:
        super().__init__(what, longest=60, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        try:
            return read_zone(text)
        except NotCronError as error:
            raise ValidationError(Issue(str(error), value=text, limit="a zone of the IANA database")) from error


class TriggersField(fields.List[Any]):
    """What may be new; order and repetition mean nothing."""

    def __init__(self, what: str, **kwargs: Any) -> None:
        extra = {"maxItems": len(TRIGGERS)}
        super().__init__(Choice("What is new.", TRIGGERS), metadata={"description": what, **extra}, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        limit = f"some of {', '.join(TRIGGERS)}"
        if not isinstance(value, list) or len(value) > len(TRIGGERS):
            raise ValidationError(Issue(f"Must be a list of {limit}.", limit=limit))
        found = super()._deserialize(value, attr, data, **kwargs)
        return tuple(trigger for trigger in TRIGGERS if trigger in found)


class SelectionSchema(RecordSchema):
    """Which workloads are re-sized: those that meet all that is said. Archived ones never are."""

    record: ClassVar[type] = Selection

    labels = LabelsField("Workloads with all of these labels.", load_default=dict)
    kind = Choice("Workloads of this kind.", Kind, **_OPTIONAL)
    state = Choice(
        "Workloads whose newest run that was answered or failed has ended so; unanswered: those without one.",
        AnswerState,
        **_OPTIONAL,
    )
    asked_within_days = Count(
        "Workloads that were posted or changed so many days ago at most.", low=1, high=_MOST_DAYS, **_OPTIONAL
    )
    asked_before_days = Count(
        "Workloads that were last posted or changed more than so many days ago.", low=1, high=_MOST_DAYS, **_OPTIONAL
    )


class ScheduleRequestSchema(RecordSchema):
    """When to re-size which workloads. A cron expression, triggers, or both: each makes occurrences of its own."""

    record: ClassVar[type] = ScheduleRequest
    conditions: ClassVar[Mapping[str, Any]] = {
        "anyOf": [
            {"required": ["cron"], "properties": {"cron": {"not": {"type": "null"}}}},
            {"required": ["triggers"], "properties": {"triggers": {"minItems": 1}}},
        ]
    }

    name = Text("For people.", required=True)
    cron = CronField(
        "Minute, hour, day of the month, month, day of the week, as in 0 2 * * MON-FRI; also L, LW, MON#1 and 5L.",
        **_OPTIONAL,
    )
    time_zone = ZoneField(
        "Whose clock it goes by (IANA), such as Europe/Berlin. Where that clock jumps over the hour it runs right "
        "after; where an hour comes twice it runs the first time only.",
        load_default="UTC",
    )
    triggers = TriggersField(
        "Also when one of these is new to the installation; its price book is that of the indicative costs, "
        "a tenant's own prices quotes.",
        load_default=(),
    )
    selection = fields.Nested(
        SelectionSchema, load_default=Selection, metadata={"description": "Which workloads; all of them by default."}
    )
    threshold_fraction = Amount(
        "An answer has moved where servers, cost, power or confidence differ by more than this share, and where it "
        "fits no more or again, or on another server.",
        low=0,
        high=10,
        load_default=THRESHOLD_FRACTION,
    )

    @validates_schema(skip_on_field_errors=True)
    def _due_some_time(self, data: dict[str, Any], **_: Any) -> None:
        if data["cron"] is None and not data["triggers"]:
            limit = "cron, triggers or both"
            raise ValidationError({"cron": [Issue(f"Give {limit}; none was given.", limit=limit)]})
