"""Entries of config/calibration: fitted numbers, residual quantiles, measured points."""

from marshmallow import ValidationError, validates_schema

from service.schemas.issue import Issue
from service.schemas.strict import Amount, Choice, Count, RecordSchema, Text
from service.sizing.calibration import ANY_SCOPE, Coefficient, EvidencePoint, ResidualBand
from service.sizing.kind import Kind


class CoefficientSchema(RecordSchema):
    """One fitted number."""

    record = Coefficient

    name = Text("What it is.", longest=120, required=True)
    scope = Text("For what it was fitted; * for all.", longest=160, load_default=ANY_SCOPE)
    value = Amount("", low=-1e15, high=1e15, required=True)
    source = Text("What it was fitted on.", longest=400, shortest=0, load_default="")


class BandSchema(RecordSchema):
    """Quantiles of ln(measured / predicted) of one metric in one regime."""

    record = ResidualBand

    metric = Text("The metric.", longest=80, required=True)
    regime = Text("The regime; * for all.", longest=160, load_default=ANY_SCOPE)
    q10 = Amount("", low=-10, high=10, required=True)
    q50 = Amount("", low=-10, high=10, required=True)
    q90 = Amount("", low=-10, high=10, required=True)
    n = Count("Measured points behind it.", low=0, high=10_000_000, required=True)

    @validates_schema
    def _ordered(self, data: dict[str, float], **_: object) -> None:
        if not data["q10"] <= data["q50"] <= data["q90"]:
            raise ValidationError({"q50": [Issue("Must lie between q10 and q90.", value=data["q50"])]})


class EvidencePointSchema(RecordSchema):
    """A measured run by the coordinates of its regime."""

    record = EvidencePoint

    id = Text("Id.", longest=120, required=True)
    kind = Choice("Kind of workload.", Kind, required=True)
    subject = Text("Model or application.", longest=120, required=True)
    gpu = Text("GPU.", longest=60, required=True)
    precision = Text("Precision.", longest=20, required=True)
    gpus = Count("GPUs.", low=1, high=10_000_000, required=True)
    size = Amount("The kind's own measure of a run.", low=0, high=1e18, required=True)
