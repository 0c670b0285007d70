"""A sizing request on the wire: name, labels, workload, constraints; and the question inside, spelled out in full."""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import orjson
from marshmallow import Schema, ValidationError, fields, missing, post_load
from marshmallow.schema import SchemaMeta

from service.schemas.constraints import ConstraintsSchema
from service.schemas.inference import InferenceWorkloadSchema
from service.schemas.issue import Issue
from service.schemas.science import APPLICATION_TEMPLATES, SCIENCE_SCHEMAS
from service.schemas.strict import RecordSchema, StrictSchema, Text, clean_text
from service.schemas.training import TrainingWorkloadSchema
from service.schemas.union import Discriminated
from service.shelf import Shelf
from service.sizing.kind import Kind
from service.sizing.workload import Constraints, Question

_OPTIONAL: dict[str, Any] = {"load_default": None, "allow_none": True}

MEMO_BYTES = 8_000_000
LONGEST_WORDS_BYTES = 8_000
"""Longer words are read anew each time: people do not write them, and few of them would push out all others."""
_ENTRY_BYTES = 1_500
_BYTES_PER_BYTE = 6
_MOST_LABELS = 64
LABEL_KEY_CHARACTERS = 63
LABEL_VALUE_CHARACTERS = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class SizingRequest:
    """What a caller posts. Name and labels are for people; only the question has an answer."""

    question: Question
    name: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    # SHA-256 of the words in which the question was asked; equal questions may have many. None: not worth remembering.
    spelling: bytes | None = field(default=None, compare=False, repr=False)


class LabelsField(fields.Dict):
    """A flat map of short strings."""

    limit = f"at most {_MOST_LABELS} labels of {LABEL_KEY_CHARACTERS} and {LABEL_VALUE_CHARACTERS} characters"

    def __init__(self, what: str, **kwargs: Any) -> None:
        strings = {"type": "string", "maxLength": LABEL_VALUE_CHARACTERS}
        extra = {"additionalProperties": strings, "maxProperties": _MOST_LABELS}
        super().__init__(metadata={"description": what, **extra}, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> dict[str, str]:
        return self.checked(value)

    def checked(self, value: Any) -> dict[str, str]:
        """The labels in their order; ValidationError names each that cannot be one."""
        if not isinstance(value, Mapping):
            raise ValidationError(Issue("Must be a flat object of strings.", value=value, limit=self.limit))
        if len(value) > _MOST_LABELS:
            raise ValidationError(Issue(f"Holds {self.limit}; this holds {len(value)}.", limit=self.limit))
        wrong: dict[str, Any] = {}
        for key, text in value.items():
            try:
                check_label(key, text)
            except ValidationError as error:
                wrong[key] = error.messages
        if wrong:
            raise ValidationError(wrong)
        return dict(sorted(value.items()))


def check_label(key: str, text: Any) -> None:
    """Raises ValidationError where a label cannot be so."""
    clean_text(key, shortest=1, longest=LABEL_KEY_CHARACTERS)
    if not isinstance(text, str):
        raise ValidationError(Issue("Must be a string.", value=text))
    clean_text(text, shortest=0, longest=LABEL_VALUE_CHARACTERS)


class ScienceField(Discriminated):
    """A scientific workload: `application` names the template, whose schema has the fields."""

    def variant_name(self, name: str) -> str:
        """The template of an application; KeyError when there is no such application."""
        return APPLICATION_TEMPLATES[name]

    def known(self) -> tuple[str, ...]:
        """Every application."""
        return tuple(APPLICATION_TEMPLATES)

    def shapes(self, resolve: Callable[[Schema | Discriminated], dict[str, Any]]) -> dict[str, Any]:
        """JSON Schema of the union, discriminated by application."""
        references = {template: resolve(variant) for template, variant in self.variants.items()}
        mapping = {name: references[template]["$ref"] for name, template in APPLICATION_TEMPLATES.items()}
        discriminator = {"propertyName": self.key, "mapping": mapping}
        return {"title": self.title, "oneOf": list(references.values()), "discriminator": discriminator}


def science_field(title: str, schemas: Mapping[str, type[Schema]]) -> ScienceField:
    """The union over the templates of science; each says which applications it is for."""
    variants = {template: _of_applications(template, schema) for template, schema in schemas.items()}
    return ScienceField("A scientific job.", key="application", title=title, variants=variants)


def _of_applications(template: str, schema: type[Schema]) -> type[Schema]:
    names = [name for name, of_template in APPLICATION_TEMPLATES.items() if of_template == template]
    application = fields.String(
        required=True, metadata={"description": "An id of /v1/catalog/applications.", "enum": names}
    )
    name = f"{schema.__name__.removesuffix('Schema')}WorkloadSchema"
    members = {"application": application, "__doc__": schema.__doc__}
    return cast("type[Schema]", SchemaMeta(name, (schema,), members))  # type: ignore[no-untyped-call]


def workload_field(title: str, kinds: Mapping[Kind, type[Schema] | Discriminated]) -> Discriminated:
    """The `workload` of a request: a union over its kind."""
    variants = {kind.value: variant for kind, variant in kinds.items()}
    return Discriminated(
        "What is to be done; `kind` decides the rest.", key="kind", title=title, variants=variants, required=True
    )


class QuestionSchema(RecordSchema):
    """The part of a request that has an answer; `dump` spells out every default."""

    record = Question

    workload = workload_field(
        # The resource of this name has an id and labels too.
        "WorkloadOfAnyKind",
        {
            Kind.INFERENCE: InferenceWorkloadSchema,
            Kind.TRAINING: TrainingWorkloadSchema,
            Kind.SCIENCE: science_field("ScienceWorkload", SCIENCE_SCHEMAS),
        },
    )
    constraints = fields.Nested(
        ConstraintsSchema, load_default=Constraints, metadata={"description": "What the answer must respect."}
    )


class FrameSchema(StrictSchema):
    """What stands around a question: it is for people and has no answer."""

    name = Text("For people; not part of the question.", **_OPTIONAL)
    labels = LabelsField("For selection; not part of the question.", load_default=dict)


_FRAME = FrameSchema().load_fields
_valid: Shelf[bytes, Question] = Shelf(most_bytes=MEMO_BYTES)
_ENCODER = json.JSONEncoder(sort_keys=True)
# No more than JSON has: what is a date already was not written so by anybody.
_AS_JSON = (
    orjson.OPT_SORT_KEYS
    | orjson.OPT_PASSTHROUGH_DATETIME
    | orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_SUBCLASS
)
_QUESTION_PARTS = ("workload", "constraints")
_MEMBERS = {*_FRAME, *_QUESTION_PARTS}


class SizingRequestSchema(QuestionSchema, FrameSchema):
    """The body of `POST /v1/workloads`.

    Schedules, dashboards and retries ask the same question in the same words again and again: a question that was
    valid in these words is not validated anew, only what stands around it is.
    """

    def load(self, data: Any, **kwargs: Any) -> Any:
        """The request in the body; ValidationError names every wrong field of all of it."""
        known = request_in_known_words(data)
        if known is not None:
            return known
        request: SizingRequest = super().load(data, **kwargs)
        words = _words(data)
        if words is None:
            return request
        spelling = _spelling(words)
        _valid.put(spelling, request.question, size_bytes=memory_of(len(words)))
        return dataclasses.replace(request, spelling=spelling)

    @post_load
    def _make(self, data: dict[str, Any], **_: Any) -> SizingRequest:
        question = Question(workload=data["workload"], constraints=data["constraints"])
        return SizingRequest(question=question, name=data["name"], labels=data["labels"])

    def get_attribute(self, obj: Any, attr: str, default: Any) -> Any:
        """Workload and constraints lie one level deeper in the dataclass than in the body."""
        source = obj.question if attr in {"workload", "constraints"} else obj
        return getattr(source, attr, default)


def request_in_known_words(data: Any) -> SizingRequest | None:
    """The request, where its question was valid in these very words before and what stands around it is valid now."""
    words = _words(data)
    if words is None:
        return None
    spelling = _spelling(words)
    question = _valid.get(spelling)
    if question is None:
        return None
    frame = _frame(data)
    # Where something is wrong the schema tells what, with the names of all fields at hand.
    return None if frame is None else SizingRequest(question=question, spelling=spelling, **frame)


def _frame(data: Mapping[str, Any]) -> dict[str, Any] | None:
    """What stands around the question, field by field: a schema takes six times as long."""
    if not data.keys() <= _MEMBERS:
        return None
    try:
        return {name: field.deserialize(data.get(name, missing), name, data) for name, field in _FRAME.items()}
    except ValidationError:
        return None


def memory_of(words_bytes: int) -> int:
    """What the question in words of this length takes in memory, with room to spare; bytes, as measured."""
    return _ENTRY_BYTES + _BYTES_PER_BYTE * words_bytes


def _spelling(words: bytes) -> bytes:
    return hashlib.sha256(words).digest()


def _words(data: Any) -> bytes | None:
    """The words of the question alone; None where nobody should remember them."""
    if not isinstance(data, Mapping):
        return None
    try:
        # A part that is null is not the same words as one that is not there: only one of them is valid.
        words = _text({part: data[part] for part in _QUESTION_PARTS if part in data})
    except (TypeError, ValueError, RecursionError):
        return None  # nothing that JSON has; the schema says what is wrong with it
    return words if len(words) <= LONGEST_WORDS_BYTES else None


def _text(parts: Mapping[str, Any]) -> bytes:
    text = orjson.dumps(parts, option=_AS_JSON)
    # It writes NaN, which is refused, as null, which may be valid.
    return _ENCODER.encode(parts).encode() if b"null" in text else text


QUESTION = QuestionSchema()
"""One instance for everybody: a schema keeps no state between calls, and making one is slow."""
