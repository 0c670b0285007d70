"""Lengths on the wire: one number, or a mean with its 95th percentile."""

from collections.abc import Mapping
from typing import Any, ClassVar

from marshmallow import Schema, ValidationError, fields, post_load, validates_schema

from service.schemas.issue import Issue
from service.schemas.strict import Amount, RecordSchema, drop_absent
from service.sizing.science.folding import WIDEST_P95_MEANS
from service.sizing.science.workload import SizeDistribution
from service.sizing.workload import TokenLength


class _LengthSchema(RecordSchema):
    """A length distribution; its bounds come from the field that uses it.

    `most_means` is how many times the mean a 95th percentile can be, `why_most` the reason.
    """

    most_means: ClassVar[float]
    why_most: ClassVar[str]

    @validates_schema(skip_on_field_errors=True)
    def _order(self, data: dict[str, Any], **_: Any) -> None:
        p95 = data.get("p95")
        if p95 is not None and p95 < data["mean"]:
            limit = f"at least the mean, {data['mean']:g}"
            raise ValidationError({"p95": [Issue(f"Must be {limit}.", value=p95, limit=limit)]})
        most = self.most_means * data["mean"]
        if p95 is not None and p95 > most:
            limit = f"at most {self.most_means:.3g} times the mean, {most:.6g}"
            raise ValidationError(
                {"p95": [Issue(f"Must be {limit}: {self.why_most}; raise the mean.", value=p95, limit=limit)]}
            )

    @post_load
    def _make(self, data: dict[str, Any], **_: Any) -> Any:
        # A percentile at the mean says what no percentile says: one question has one form, and one digest.
        p95 = None if data["p95"] == data["mean"] else data["p95"]
        return self.record(mean=data["mean"], p95=p95)


class TokenLengthSchema(_LengthSchema):
    """Lengths of requests."""

    record = TokenLength
    # Markov's inequality.
    most_means = 20.0
    why_most = "a twentieth of the requests is at least so long, and already sums to more than the mean"


class SizeDistributionSchema(_LengthSchema):
    """Sizes of the items of a scientific job."""

    record = SizeDistribution
    most_means = WIDEST_P95_MEANS
    why_most = "no log-normal through the mean, which sizes are taken to follow, has a longer one"


class LengthField(fields.Field[Any]):
    """A number, or `{mean, p95}` with p95 not below the mean; a bare number is a mean without a percentile."""

    distribution: ClassVar[type[_LengthSchema]] = TokenLengthSchema

    def __init__(self, what: str, *, low: float, high: float, **kwargs: Any) -> None:
        super().__init__(metadata={"description": what}, **kwargs)
        self.low, self.high = low, high
        self.schema = _bounded(self.distribution, low, high)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if isinstance(value, Mapping):
            return self.schema.load(value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValidationError(Issue("Must be a number or an object of mean and p95.", value=value))
        return self.schema.load({"mean": self.schema.fields["mean"].deserialize(value)})

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        return None if value is None else drop_absent(self.schema.dump(value))

    def shapes(self, resolve: Any) -> dict[str, Any]:
        """JSON Schema: a number, or an object of mean and p95."""
        number = {"type": "number", "minimum": self.low, "maximum": self.high}
        described = {
            name: {**number, "description": self.schema.fields[name].metadata["description"]}
            for name in ("mean", "p95")
        }
        described["p95"]["type"] = ["number", "null"]
        both = {"type": "object", "properties": described, "required": ["mean"], "additionalProperties": False}
        return {"oneOf": [number, both]}


class SizeField(LengthField):
    """The same for the items of a scientific job."""

    distribution = SizeDistributionSchema


def _bounded(distribution: type[_LengthSchema], low: float, high: float) -> Schema:
    mean = Amount("The mean.", low=low, high=high, required=True)
    p95 = Amount(
        "95th percentile; without it the engine takes the mean.", low=low, high=high, load_default=None, allow_none=True
    )
    return distribution.from_dict({"mean": mean, "p95": p95}, name=distribution.__name__)()
