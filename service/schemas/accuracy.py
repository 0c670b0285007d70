"""Predicted beside measured on the wire: a published point, what the engine said of it, and errors over many."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from marshmallow import ValidationError, fields

from service.schemas.coordinates import NAMES
from service.schemas.issue import Issue, nearest
from service.schemas.measured import Refused
from service.schemas.page import CursorField, PageQuerySchema, ordinal
from service.schemas.plain import AnswerSchema, count, figure, flag, many, one, text
from service.schemas.run import PageSchema
from service.schemas.strict import Choice, StrictSchema, Text
from service.schemas.words import WordedSchema
from service.sizing.interval import Basis, Interval
from service.sizing.kind import Kind

ACCURACY = "accuracy"
GROUPINGS = (*NAMES, "split")
_FILTER: dict[str, Any] = {"load_default": None, "allow_none": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Versions:
    """What predictions were made under."""

    engine_version: str
    calibration_version: str
    catalog_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AccuracyPoint:
    """One metric of one published run. `place` counts from 1 through the evidence; it is what a cursor holds.

    `measured` is None where the run ran out of memory, `predicted` where the engine has no answer: `refused` says why.
    """

    place: int
    id: str
    kind: str
    model: str | None
    gpu: str | None
    precision: str | None
    mode: str | None
    source: str | None
    reference: str | None
    split: str | None
    published: str | None
    metric: str
    measured: float | None
    predicted: Interval | None
    basis: Basis | None
    fits: bool | None
    refused: Refused | None


class IntervalSchema(AnswerSchema):
    """An 80 % interval with its median, in the unit that the metric's name says."""

    record = Interval

    p10 = figure("Nine of ten measurements lie above.")
    p50 = figure("The prediction.")
    p90 = figure("Nine of ten measurements lie below.")


class AccuracyPointSchema(WordedSchema):
    """One metric of one published run, predicted and measured."""

    id = text("Id of the run; a run has a point for each metric that was published of it.")
    kind = Choice("Kind of workload.", Kind, required=True)
    model = text("Model, or scientific application.", allow_none=True)
    gpu = text("GPU, by id.", allow_none=True)
    precision = text("Number format, of the weights where a model is served.", allow_none=True)
    mode = text("Serving mode, training method, or stage of a scientific job.", allow_none=True)
    source = text("Who published it.", allow_none=True)
    reference = text("Where it stands, as far as a link is known.", allow_none=True)
    split = text("calibration: the engine was fitted on it; validation: it was not.", allow_none=True)
    published = text("Month of publication.", allow_none=True)
    metric = text("What was measured; the name ends in its unit.")
    measured = figure("The published number; null where the run ran out of memory.", allow_none=True)
    predicted = one(IntervalSchema, "What the engine says; null where it has no answer.", allow_none=True)
    basis = Choice("How the prediction is known.", Basis, required=True, allow_none=True)
    fits = fields.Boolean(
        required=True, allow_none=True, metadata={"description": "Whether the engine finds that it fits in memory."}
    )
    refused = Choice("Why there is no prediction.", Refused, required=True, allow_none=True)


class MadeUnderSchema(WordedSchema):
    """What the predictions were made under; null where none are stored."""

    engine_version = text("Version of the engine.", allow_none=True)
    calibration_version = text("Version of the calibration.", allow_none=True)
    catalog_version = text("Digest of the facts.", allow_none=True)
    stale = flag("Whether the running engine, calibration or facts are others: it may predict otherwise today.")


class AccuracyPageSchema(PageSchema, MadeUnderSchema):
    """Points in the order of the evidence."""

    items = many(AccuracyPointSchema, "The points of this page.")


class ErrorsSchema(WordedSchema):
    """How far predictions lie from measurements."""

    n = count("How many rows, or groups.")
    median_error_fraction = figure("Median of the absolute error over the measured value.")
    p90_error_fraction = figure("90th percentile of the same.")
    bias_fraction = figure("Median of predicted over measured, less one; positive: predicted too high.")
    inside_fraction = figure("Share of the measurements inside the 80 % interval.")


class ScoreSchema(WordedSchema):
    """Errors of one metric."""

    metric = text("The metric.")
    by = fields.Dict(
        keys=fields.String(),
        values=fields.String(allow_none=True),
        required=True,
        metadata={"description": "What the points have in common: kind, and what `by` asks for."},
    )
    rows = one(ErrorsSchema, "Every point has one voice.")
    groups = one(
        ErrorsSchema,
        "Every group of source, model, GPU, precision and mode has one voice: the median error of its points.",
    )


class AccuracySummarySchema(MadeUnderSchema):
    """Errors by metric and by what was asked for."""

    points = count("Points that the filters leave.")
    predicted = count("Those that have a prediction.")
    items = many(ScoreSchema, "Ordered by kind, metric and the rest.")


class GroupingField(fields.String):
    """Names with commas between them."""

    longest = 100
    limit = f"names of {', '.join(GROUPINGS)} with commas between, at most {longest} characters"

    def __init__(self, what: str) -> None:
        names = "|".join(GROUPINGS)
        extra = {"pattern": f"^({names})(,({names}))*$", "maxLength": self.longest, "examples": ["gpu,precision"]}
        super().__init__(load_default=(), allow_none=False, metadata={"description": what, **extra})

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        names = str(value).split(",")
        if len(str(value)) > self.longest:
            raise ValidationError(Issue(f"Takes {self.limit}.", limit=self.limit))
        for name in names:
            if name not in GROUPINGS:
                near = nearest(name, GROUPINGS)
                raise ValidationError(Issue(f"Takes {self.limit}.", value=name, limit=self.limit, did_you_mean=near))
        return tuple(dict.fromkeys(names))


class Split(StrEnum):
    """Whether the engine was fitted on a published run."""

    CALIBRATION = "calibration"
    VALIDATION = "validation"


class _FilterSchema(StrictSchema):
    """Which points are looked at."""

    kind = Choice("Only this kind of workload.", Kind, **_FILTER)
    model = Text("Only this model or scientific application; an alias will do.", **_FILTER)
    gpu = Text("Only runs on this GPU.", **_FILTER)
    id = Text("Only this run: the options of a sizing name the nearest ones.", **_FILTER)
    mode = Text("Only runs of this serving mode, training method or stage of an application.", **_FILTER)
    precision = Text("Only this number format.", **_FILTER)
    source = Text("Only what this source published.", **_FILTER)
    split = Choice("Only what the engine was fitted on, or only what it never saw.", Split, **_FILTER)
    metric = Text("Only this metric.", **_FILTER)


class AccuracyQuerySchema(_FilterSchema, PageQuerySchema):
    """The query of the list."""

    cursor = CursorField(ACCURACY, read=ordinal)


class AccuracySummaryQuerySchema(_FilterSchema):
    """The query of the summary."""

    by = GroupingField("What the summary is split by, beside kind and metric.")
