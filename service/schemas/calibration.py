"""Entries of config/assumptions.yaml and config/calibration: judgement, fitted numbers, residual quantiles."""

from typing import Any

from marshmallow import ValidationError, fields, validates_schema

from service.schemas.fact import FactBasis
from service.schemas.issue import Issue
from service.schemas.strict import Amount, Choice, Count, RecordSchema, Text
from service.sizing.calibration import (
    ANY_SCOPE,
    Assumption,
    Coefficient,
    Evaluations,
    OwnKernels,
    PrefillGraphs,
    Release,
    ResidualBand,
    Target,
)
from service.sizing.operation import Kin, Operation, OperationCurve
from service.sizing.workload import Method, ServingEngine


class AssumptionSchema(RecordSchema):
    """One judgement: a value with the bounds that a sensitivity analysis may move it between."""

    record = Assumption

    id = Text("Id.", longest=80, required=True)
    value = Amount("", low=-1e15, high=1e15, required=True)
    unit = Text("Its unit; empty for a ratio.", longest=40, shortest=0, required=True)
    low = Amount("", low=-1e15, high=1e15, required=True)
    high = Amount("", low=-1e15, high=1e15, required=True)
    date = Text("When it was judged.", longest=10, required=True)
    source = Text("What it rests on.", longest=400, required=True)
    confidence = fields.String(required=True)
    basis = Choice("How it is known.", FactBasis, required=True)

    @validates_schema
    def _sane(self, data: dict[str, Any], **_: Any) -> None:
        if data["confidence"] not in {"high", "medium", "low"}:
            raise ValidationError({"confidence": [Issue("Must be high, medium or low.", value=data["confidence"])]})
        if not data["low"] <= data["value"] <= data["high"]:
            raise ValidationError({"value": [Issue("Must lie between low and high.", value=data["value"])]})


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
    def _ordered(self, data: dict[str, Any], **_: Any) -> None:
        if not data["q10"] <= data["q50"] <= data["q90"]:
            raise ValidationError({"q50": [Issue("Must lie between q10 and q90.", value=data["q50"])]})


class CurveSchema(RecordSchema):
    """One fitted curve of an operation."""

    record = OperationCurve

    operation = Choice("The operation.", Operation, required=True)
    gpu = Text("GPU, by id.", required=True)
    engine = Text("Serving engine whose kernels were measured; any = all of them together.", required=True)
    precision = Text("Format of weights or cache.", longest=20, required=True)
    launch_us = Amount("", low=0, high=10_000, required=True)
    flop_efficiency = Amount("Share of the dense peak.", low=1e-4, high=10, required=True)
    bandwidth_efficiency = Amount("Share of the memory or link bandwidth.", low=1e-3, high=10, required=True)
    unhidden_fraction = Amount("", low=0, high=1, required=True)
    depth_ns = Amount("", low=0, high=1e7, required=True)
    side_weight = Amount("", low=0, high=1000, required=True)
    padding_rows = Amount("", low=0, high=10_000, required=True)
    points = Count("Measured points behind it.", low=1, high=100_000_000, required=True)
    median_error_fraction = Amount("On points held back.", low=0, high=100, required=True)
    p90_error_fraction = Amount("On points held back.", low=0, high=1000, required=True)
    input_weight = Amount("Of products.", low=0, high=1000, load_default=0.0)
    spread_exponent = Amount("Of all-reduces.", low=0, high=10, load_default=1.0)
    direct_mb = Amount("Of all-reduces.", low=0, high=1000, load_default=0.0)


class ReleaseSchema(RecordSchema):
    """When a version of a serving engine came out."""

    record = Release

    engine = Choice("Serving engine.", ServingEngine, required=True)
    version = Text("Version; those that begin so belong to it.", longest=20, required=True)
    month = Text("Month, YYYY-MM.", longest=7, shortest=7, required=True)


class OwnKernelsSchema(RecordSchema):
    """Since when a serving engine runs an operation with kernels made for the GPU."""

    record = OwnKernels

    engine = Choice("Serving engine.", ServingEngine, required=True)
    operation = Choice("The operation.", Operation, required=True)
    month = Text("Month, YYYY-MM.", longest=7, shortest=7, required=True)
    source = Text("How it is known.", longest=400, required=True)


class PrefillGraphsSchema(RecordSchema):
    """Since when a serving engine replays passes with prompts from graphs."""

    record = PrefillGraphs

    engine = Choice("Serving engine.", ServingEngine, required=True)
    month = Text("Month, YYYY-MM.", longest=7, shortest=7, required=True)
    source = Text("How it is known.", longest=400, required=True)


class TargetSchema(RecordSchema):
    """How long reference trainings of a model are."""

    record = Target

    model = Text("Model of the zoo.", longest=80, required=True)
    method = Choice("Method of training.", Method, required=True)
    batch_sequences = Count("Global batch.", low=1, high=10_000_000, required=True)
    sequences = Count("To the target.", low=1, high=1_000_000_000_000, required=True)
    low = Count("The least that a run took.", low=1, high=1_000_000_000_000, required=True)
    high = Count("The most that a run took.", low=1, high=1_000_000_000_000, required=True)
    round = Text("Round of the reference.", longest=10, required=True)


class EvaluationsSchema(RecordSchema):
    """How often a race to a target stops to see whether it is met."""

    record = Evaluations

    model = Text("Model of the zoo.", longest=80, required=True)
    method = Choice("Method of training.", Method, required=True)
    every_sequences = Count("Between two evaluations.", low=1, high=1_000_000_000_000, required=True)
    sequences = Count("Of one evaluation.", low=1, high=1_000_000_000_000, required=True)
    skipped = Count("Evaluations left out first.", low=0, high=1_000_000, required=True)
    skipped_batch_sequence = Amount("Further ones for each sequence of the batch.", low=0, high=1000, required=True)
    source = Text("Where the rule stands.", longest=400, required=True)


class KinSchema(RecordSchema):
    """A GPU that takes the curves of another."""

    record = Kin

    gpu = Text("GPU without measured kernels, by id.", required=True)
    like = Text("GPU whose curves it takes, by id.", required=True)
    why = Text("Why these two.", longest=200, required=True)
    rate_fraction = Amount("Share of its peak over that of the other.", low=0.3, high=2.0, load_default=1.0)
    rate_low = Amount("The least that it may be.", low=0.3, high=2.0, load_default=None)
    rate_high = Amount("The most that it may be.", low=0.3, high=2.0, load_default=None)
